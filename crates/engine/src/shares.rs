//! Who gets the room under `concurrent`: worker by worker, the runner that has the fewest slots and still wants one.
//!
//! That is max-min fairness in whole workers: nobody gets a further worker while another who wants one has less. What
//! exists already counts, so that a runner which came first does not keep what it has for ever: the same rule, asked
//! from an empty fleet, gives every runner's fair share, and what is above it yields when someone below waits
//! (`yielding`). Who has nothing yet and needs the larger worker comes first, then file order: so everybody has one worker
//! before anybody has two, as long as `concurrent` has room for one of each. Pure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What one runner has and would like to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Slots that it has.
    pub(crate) has: u32,
    /// Workers more that it could use now, its own limits included.
    pub(crate) more: u32,
    /// Slots of one worker; at least 1.
    pub(crate) size: u32,
    /// Whether room that is too small for its next worker is kept until there is enough, and given to nobody else.
    pub(crate) waits: bool,
}

/// What each claim gets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Shares {
    /// Workers, in the claims' order.
    pub(crate) workers: Vec<u32>,
    /// Slots of room that are left.
    pub(crate) room: u32,
}

/// Shares `room` slots among the claims, which stand in file order.
pub(crate) fn share(mut room: u32, claims: &[Claim]) -> Shares {
    let wanted: u64 = claims.iter().map(|claim| u64::from(claim.more) * u64::from(claim.size)).sum();
    if wanted <= u64::from(room) {
        let left = room - u32::try_from(wanted).unwrap_or(room);
        return Shares { workers: claims.iter().map(|claim| claim.more).collect(), room: left };
    }
    let mut workers = vec![0_u32; claims.len()];
    let turn = |has: u32, size: u32, index: usize| Reverse((has, Reverse(if has == 0 { size } else { 0 }), index));
    let mut turns: BinaryHeap<_> =
        claims.iter().enumerate().map(|(index, claim)| turn(claim.has, claim.size, index)).collect();
    while let Some(Reverse((has, _, index))) = turns.pop() {
        let (Some(claim), Some(given)) = (claims.get(index), workers.get_mut(index)) else { continue };
        let size = claim.size.max(1);
        if *given >= claim.more {
            continue;
        }
        if room < size {
            if claim.waits {
                break;
            }
            continue;
        }
        room -= size;
        *given += 1;
        turns.push(turn(has.saturating_add(size), size, index));
    }
    Shares { workers, room }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(has: u32, more: u32) -> Claim {
        Claim { has, more, size: 1, waits: true }
    }

    fn given(room: u32, claims: &[Claim]) -> Vec<u32> {
        share(room, claims).workers
    }

    #[test]
    fn who_has_least_comes_first_and_ties_go_by_file_order() {
        // room, (has, more) in file order, given
        let table = [
            (10, [(0, 3), (0, 4)], [3, 4]),
            (5, [(0, 10), (0, 10)], [3, 2]),
            (5, [(0, 10), (0, 1)], [4, 1]),
            (1, [(9, 10), (0, 1)], [0, 1]),
            (4, [(3, 10), (0, 10)], [1, 3]),
            (0, [(0, 1), (0, 1)], [0, 0]),
        ];
        for (room, claims, expected) in table {
            let claims = claims.map(|(has, more)| claim(has, more));
            assert_eq!(given(room, &claims), expected, "room {room} for {claims:?}");
        }
    }

    #[test]
    fn too_small_room_is_kept_for_waiters_else_passed_on() {
        let large = Claim { has: 0, more: 1, size: 4, waits: true };
        assert_eq!(given(2, &[claim(1, 5), large]), [0, 0]);
        assert_eq!(given(2, &[claim(1, 5), Claim { waits: false, ..large }]), [2, 0]);
        assert_eq!(given(5, &[claim(1, 5), large]), [1, 1]);
        assert_eq!(given(5, &[claim(0, 5), large]), [1, 1], "one worker of each comes before a second");
    }

    /// The definition, slow and obvious: of all ways to hand out no more than the room, the one whose sorted levels are
    /// lexicographically greatest, for workers of one slot.
    fn best_levels(room: u32, claims: &[Claim]) -> Vec<u32> {
        fn all(room: u32, claims: &[Claim]) -> Vec<Vec<u32>> {
            let Some((first, rest)) = claims.split_first() else { return vec![Vec::new()] };
            (0..=first.more.min(room))
                .flat_map(|n| {
                    all(room - n, rest).into_iter().map(move |mut levels| {
                        levels.insert(0, first.has + n);
                        levels
                    })
                })
                .collect()
        }
        let sorted = |mut levels: Vec<u32>| {
            levels.sort_unstable();
            levels
        };
        all(room, claims).into_iter().map(sorted).max().unwrap_or_default()
    }

    proptest! {
        #[test]
        fn the_levels_are_those_of_max_min_fairness(
            room in 0_u32..12,
            claims in proptest::collection::vec((0_u32..6, 0_u32..6), 1..5),
        ) {
            let claims: Vec<Claim> = claims.into_iter().map(|(has, more)| claim(has, more)).collect();
            let mut levels: Vec<u32> =
                claims.iter().zip(given(room, &claims)).map(|(claim, workers)| claim.has + workers).collect();
            levels.sort_unstable();
            prop_assert_eq!(levels, best_levels(room, &claims));
        }

        #[test]
        fn shares_are_fair_and_within_the_room_for_any_sizes(
            room in 0_u32..60,
            claims in proptest::collection::vec((0_u32..12, 0_u32..9, 1_u32..5, any::<bool>()), 1..6),
        ) {
            let claims: Vec<Claim> =
                claims.into_iter().map(|(has, more, size, waits)| Claim { has, more, size, waits }).collect();
            let Shares { workers, room: left } = share(room, &claims);
            let used: u32 = claims.iter().zip(&workers).map(|(claim, workers)| claim.size * workers).sum();
            prop_assert_eq!(used + left, room);
            for (one, got) in claims.iter().zip(&workers).filter(|(_, got)| **got > 0) {
                prop_assert!(*got <= one.more);
                // Before its last worker it had no more than anyone who wants in vain, unless that one lets room pass.
                let before = one.has + one.size * (got - 1);
                for (other, theirs) in claims.iter().zip(&workers) {
                    let in_vain = *theirs < other.more && other.waits;
                    prop_assert!(!in_vain || before <= other.has + other.size * theirs, "{:?} {:?}", claims, workers);
                }
            }
        }
    }
}
