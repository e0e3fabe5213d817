//! What goes wrong in a world, how often, and until when.
//!
//! All rates are 0 by default: a world without faults is slow and eventually consistent, but honest. A rate without
//! another unit is the chance (0 to 1) at each occasion. After [`Faults::until`] nothing new goes wrong, so that a run
//! can ask whether the fleet found back.

use std::time::Duration;

/// How far apart two readings of the manager's clock may be: four minutes, so that it is at most two off. EC2 refuses
/// requests that were signed by a clock five minutes off.
pub(crate) const CLOCK_OFF_MS: u64 = 240_000;

/// The switches.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// After the start of the scenario; from then on no new fault begins.
    pub until: Duration,

    /// An answer to a call never arrives (the call itself worked).
    pub answer_lost: f64,
    /// An answer arrives up to 30 s late; others overtake it. Events of one connection keep their order, as on a real connection.
    pub answer_late: f64,
    /// An answer arrives twice, the second time up to 5 s later.
    pub answer_doubled: f64,

    /// A listing fails (also: one of its pages failed).
    pub listing_fails: f64,
    /// A poll of the queue fails: 429, 502, or a body that nobody can read.
    pub queue_fails: f64,
    /// A poll of the queue sees only some of the projects, and says so.
    pub queue_partial: f64,
    /// Preparing a launch, or reading a runner, fails.
    pub preparation_fails: f64,

    /// Making or deleting a launch template or a key pair fails; half of these calls worked.
    pub chore_fails: f64,

    /// One offering of a launch has no capacity.
    pub no_capacity: f64,
    /// One offering of a launch fails for another reason: its subnet is full, or an account limit is reached.
    pub offering_fails: f64,
    /// EC2 refuses a launch as a whole: not allowed, or malformed.
    pub launch_refused: f64,
    /// EC2 throttles a launch or a terminate call.
    pub throttled: f64,
    /// No answer comes to a launch, after 30 s; half of these launches worked.
    pub launch_unanswered: f64,
    /// EC2 refuses a terminate call.
    pub terminate_fails: f64,
    /// GitLab refuses to delete a runner-manager row.
    pub forget_fails: f64,
    /// GitLab does not answer when it is asked to retry a job.
    pub retry_fails: f64,

    /// A boot takes three to six times as long.
    pub boot_slow: f64,
    /// A boot never ends; sshd may never answer either.
    pub boot_hangs: f64,
    /// A boot fails, says so, and the worker powers itself off.
    pub boot_fails: f64,
    /// A worker answers with a wrong host key.
    pub wrong_host_key: f64,

    /// A worker whose agent tells untruths; see [`Lie`](super::world::Lie).
    pub lies: f64,

    /// Spot interruptions per worker and hour.
    pub interruptions_per_hour: f64,
    /// Interruptions that come without the two minutes' notice (share of them).
    pub interruption_unannounced: f64,
    /// Hosts that die per worker and hour: nothing answers, EC2 says `running`, the status checks fail minutes later.
    pub host_deaths_per_hour: f64,
    /// Workers that fall silent per worker and hour: they run on, but cannot be reached for up to 20 minutes.
    pub silences_per_hour: f64,
    /// Connections that break per worker and hour; the next attempt succeeds.
    pub breaks_per_hour: f64,
    /// Workers whose disk fills or whose Docker dies per worker and hour: jobs fail on them in seconds, until they notice.
    pub sicknesses_per_hour: f64,
    /// gitlab-runner processes that crash per worker and hour, with all that they run.
    pub runner_crashes_per_hour: f64,

    /// Manager crashes per hour: at any time, also between two commands of one step; it is back after 5 to 90 s.
    pub manager_crashes_per_hour: f64,
    /// The chance that a step that gave commands is cut short by a crash among them.
    pub manager_crash_mid_step: f64,
    /// Times per hour that the manager stands still for 10 s to 10 min and then sees the clock jump forward.
    pub clock_jumps_per_hour: f64,
    /// Times per hour that the manager's clock is set, by up to 2 min, in either direction.
    pub clock_set_per_hour: f64,

    /// Times per hour that a person sets the hold tag on some worker, for up to 15 minutes.
    pub holds_per_hour: f64,
    /// Times per hour that a person cancels some waiting or running job.
    pub cancels_per_hour: f64,
    /// Times per hour that an operator drains some worker; every fifth time by force.
    pub drains_per_hour: f64,
    /// Times per hour that an operator pauses a runner, for up to 15 minutes.
    pub pauses_per_hour: f64,
    /// Times per hour that the administrator changes the configuration: limits, idle policy, schedule, capacity, runners.
    pub reconfigurations_per_hour: f64,
    /// Times per hour that a runner gets another image or launch template, so that its workers have drifted.
    pub drifts_per_hour: f64,
    /// Times per hour that a person deletes one of our launch templates or key pairs by hand.
    pub deletions_by_hand_per_hour: f64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            until: Duration::MAX,
            answer_lost: 0.0,
            answer_late: 0.0,
            answer_doubled: 0.0,
            listing_fails: 0.0,
            queue_fails: 0.0,
            queue_partial: 0.0,
            preparation_fails: 0.0,
            chore_fails: 0.0,
            no_capacity: 0.0,
            offering_fails: 0.0,
            launch_refused: 0.0,
            throttled: 0.0,
            launch_unanswered: 0.0,
            terminate_fails: 0.0,
            forget_fails: 0.0,
            retry_fails: 0.0,
            boot_slow: 0.0,
            boot_hangs: 0.0,
            boot_fails: 0.0,
            wrong_host_key: 0.0,
            lies: 0.0,
            interruptions_per_hour: 0.0,
            interruption_unannounced: 0.0,
            host_deaths_per_hour: 0.0,
            silences_per_hour: 0.0,
            breaks_per_hour: 0.0,
            sicknesses_per_hour: 0.0,
            runner_crashes_per_hour: 0.0,
            manager_crashes_per_hour: 0.0,
            manager_crash_mid_step: 0.0,
            clock_jumps_per_hour: 0.0,
            clock_set_per_hour: 0.0,
            holds_per_hour: 0.0,
            cancels_per_hour: 0.0,
            drains_per_hour: 0.0,
            pauses_per_hour: 0.0,
            reconfigurations_per_hour: 0.0,
            drifts_per_hour: 0.0,
            deletions_by_hand_per_hour: 0.0,
        }
    }
}

impl Faults {
    /// A rough day: everything that breaks at once, at rates at which a fleet still gets its work done.
    pub fn rough(until: Duration) -> Self {
        Self {
            until,
            answer_lost: 0.02,
            answer_late: 0.05,
            answer_doubled: 0.05,
            listing_fails: 0.1,
            queue_fails: 0.1,
            queue_partial: 0.05,
            preparation_fails: 0.05,
            chore_fails: 0.1,
            no_capacity: 0.2,
            throttled: 0.1,
            launch_unanswered: 0.1,
            terminate_fails: 0.1,
            forget_fails: 0.1,
            retry_fails: 0.1,
            boot_slow: 0.1,
            boot_hangs: 0.05,
            boot_fails: 0.05,
            wrong_host_key: 0.03,
            interruptions_per_hour: 0.5,
            interruption_unannounced: 0.2,
            host_deaths_per_hour: 0.2,
            silences_per_hour: 0.5,
            breaks_per_hour: 3.0,
            sicknesses_per_hour: 0.2,
            runner_crashes_per_hour: 0.1,
            manager_crashes_per_hour: 2.0,
            manager_crash_mid_step: 0.02,
            clock_jumps_per_hour: 1.0,
            holds_per_hour: 1.0,
            cancels_per_hour: 2.0,
            ..Self::default()
        }
    }

    /// A rough day with restless people: the configuration, the images and the clock change under the manager's feet,
    /// operators drain and pause, and some workers lie.
    pub fn restless(until: Duration) -> Self {
        Self {
            offering_fails: 0.05,
            launch_refused: 0.03,
            lies: 0.1,
            clock_set_per_hour: 1.0,
            drains_per_hour: 3.0,
            pauses_per_hour: 1.5,
            reconfigurations_per_hour: 6.0,
            drifts_per_hour: 2.0,
            deletions_by_hand_per_hour: 1.0,
            ..Self::rough(until)
        }
    }
}
