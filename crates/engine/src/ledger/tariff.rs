//! Prices as whole numbers, and what time costs at them.

use serde::{Deserialize, Serialize};

use super::account::Amount;

/// Pico-USD in one USD: the unit of all books. An `i64` of them is nine million USD.
pub const PICO: i64 = 1_000_000_000_000;
const MS_PER_HOUR: i128 = 3_600_000;
/// AWS reckons a month of storage as so many hours (EBS pricing page, its examples).
const HOURS_PER_MONTH: f64 = 730.0;

/// A public IPv4 address, in use or not. Source: Amazon VPC pricing page, since February 2024, all regions alike.
const ADDRESS_USD_PER_HOUR: f64 = 0.005;

/// USD for a GiB-month of gp3, without more IOPS or throughput than it has by itself. Source: EBS pricing page, 2026-07.
const GP3_USD_PER_GIB_MONTH: &[(&str, f64)] = &[
    ("ap-northeast-1", 0.096),
    ("ap-northeast-2", 0.0912),
    ("ap-northeast-3", 0.096),
    ("ap-south-1", 0.0912),
    ("ap-southeast-1", 0.096),
    ("ap-southeast-2", 0.096),
    ("ca-central-1", 0.088),
    ("eu-central-1", 0.0952),
    ("eu-north-1", 0.0836),
    ("eu-west-1", 0.088),
    ("eu-west-2", 0.0928),
    ("eu-west-3", 0.0928),
    ("sa-east-1", 0.152),
    ("us-east-1", 0.08),
    ("us-east-2", 0.08),
    ("us-west-1", 0.096),
    ("us-west-2", 0.08),
];

/// What an hour costs, in pico-USD; `None`: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// As it is paid for.
    pub paid: Option<i64>,
    /// On demand: for comparing; and the most that it can cost where `paid` is not known.
    pub on_demand: Option<i64>,
}

impl Rates {
    /// It costs nothing.
    pub const FREE: Self = Self { paid: Some(0), on_demand: Some(0) };

    /// What can be had in one way alone, for this price.
    pub fn flat(usd_per_hour: f64) -> Self {
        let price = Some(pico(usd_per_hour));
        Self { paid: price, on_demand: price }
    }
}

/// The fractions of a pico-USD that earlier bookings have left over, in pico-USD × ms / h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Carry {
    paid: i64,
    on_demand: i64,
}

/// USD in pico-USD.
pub fn pico(usd: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, at nine million USD")]
    let pico = (usd * PICO as f64).round() as i64;
    pico
}

/// Pico-USD in USD, for people.
pub fn usd(pico: i64) -> f64 {
    pico as f64 / PICO as f64
}

/// So many milliseconds at these rates; negative ones take back.
pub(super) fn charge(rates: Rates, ms: i64, carry: &mut Carry) -> Amount {
    let Rates { paid, on_demand } = rates;
    let compared = on_demand.map(|rate| times(rate, ms, &mut carry.on_demand));
    match (paid, compared) {
        (Some(rate), compared) => {
            let pico = times(rate, ms, &mut carry.paid);
            let (on_demand, uncompared) = compared.map_or((0, pico), |on_demand| (on_demand, 0));
            Amount { ms, pico, on_demand, uncompared, ..Amount::default() }
        }
        (None, Some(at_most)) => Amount { ms, unpriced_ms: ms, unpriced_at_most: at_most, ..Amount::default() },
        (None, None) => Amount { ms, unpriced_ms: ms, unbounded_ms: ms, ..Amount::default() },
    }
}

/// The whole pico-USD; what is left over is carried.
fn times(rate: i64, ms: i64, carry: &mut i64) -> i64 {
    let whole = i128::from(rate) * i128::from(ms) + i128::from(*carry);
    *carry = i64::try_from(whole.rem_euclid(MS_PER_HOUR)).unwrap_or(0);
    i64::try_from(whole.div_euclid(MS_PER_HOUR)).unwrap_or(i64::MAX)
}

/// What a root volume of gp3 costs in a zone. Without a size, or in a region that the table lacks, nobody knows.
pub fn disk_rates(gib: Option<u32>, zone: &str) -> Rates {
    let region = zone.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    let price = GP3_USD_PER_GIB_MONTH.iter().find(|(name, _)| *name == region).map(|(_, price)| *price);
    let hourly = gib.zip(price).map(|(gib, price)| f64::from(gib) * price / HOURS_PER_MONTH);
    hourly.map_or(Rates::default(), Rates::flat)
}

/// What a public address costs. Where it is not known whether there is one, it costs that at most.
pub fn address_rates(is_public: Option<bool>) -> Rates {
    let price = Rates::flat(ADDRESS_USD_PER_HOUR);
    match is_public {
        Some(true) => price,
        Some(false) => Rates::FREE,
        None => Rates { paid: None, ..price },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_fraction_is_lost_however_time_is_cut(
            rate in 1_i64..100 * PICO, parts in proptest::collection::vec(0_i64..100_000, 1..50),
        ) {
            let rates = Rates { paid: Some(rate), on_demand: Some(rate / 3) };
            let mut carry = Carry::default();
            let cut: Amount = parts.iter().map(|ms| charge(rates, *ms, &mut carry)).sum();
            let whole = charge(rates, parts.iter().sum(), &mut Carry::default());
            prop_assert_eq!(cut, whole);
        }

        #[test]
        fn equal_shares_are_the_whole(ms in any::<i64>(), pico in any::<i64>(), of in 1_usize..20) {
            let whole = Amount { ms, pico, ..Amount::default() };
            let shares: Vec<Amount> = (0..of).map(|index| whole.share(index, of)).collect();
            prop_assert_eq!(shares.iter().map(|share| i128::from(share.ms)).sum::<i128>(), i128::from(ms));
            prop_assert_eq!(shares.iter().map(|share| i128::from(share.pico)).sum::<i128>(), i128::from(pico));
            let least = shares.iter().map(|share| share.pico).min();
            prop_assert!(shares.iter().all(|share| Some(share.pico) <= least.map(|least| least.saturating_add(1))));
        }
    }

    #[test]
    fn what_is_not_known_is_neither_free_nor_forgotten() {
        let charged = |paid, on_demand| charge(Rates { paid, on_demand }, 3_600_000, &mut Carry::default());
        let hour = 3_600_000;
        assert_eq!(charged(Some(7), None), Amount { ms: hour, pico: 7, uncompared: 7, ..Amount::default() });
        let at_most = Amount { ms: hour, unpriced_ms: hour, unpriced_at_most: 9, ..Amount::default() };
        assert_eq!(charged(None, Some(9)), at_most);
        assert_eq!(charged(None, None).unbounded_ms, hour);
        assert_eq!(disk_rates(Some(20), "eu-central-1b").paid, Some(pico(20.0 * 0.0952 / 730.0)));
        assert_eq!(disk_rates(None, "eu-central-1b"), Rates::default());
        assert_eq!(disk_rates(Some(20), "us-gov-east-1a"), Rates::default());
        assert_eq!(address_rates(None), Rates { paid: None, on_demand: Some(pico(0.005)) });
    }
}
