//! Troubles in words: what is wrong, and what to do.

use jiff::Timestamp;

use super::TroubleReason;
use crate::explained::Sentence;
use crate::failure::{Failure, FailureClass};
use crate::ids::RunnerName;
use crate::job::{Knowledge, TokenEnd};
use crate::reason::Brief;
use crate::time::since;
use crate::waits::Mismatch;

impl Sentence for TroubleReason {
    fn sentence(&self, now: Timestamp) -> String {
        let next_try = |until: &Timestamp| format!(", next try in {}", Brief(since(*until, now)));
        let maybe = |until: &Option<Timestamp>| until.as_ref().map(next_try).unwrap_or_default();
        match self {
            Self::NotStarted { failure } => failure.to_string(),
            Self::BootsFail { in_a_row, last, until } => {
                format!("boots fail, {in_a_row} in a row (last: {last}){}", maybe(until))
            }
            Self::WorkersUnfit { in_a_row, last, until } => {
                format!("workers are unfit to run jobs, {in_a_row} in a row (last: {last}){}", maybe(until))
            }
            Self::NoCapacity { until, said } => {
                let said = said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default();
                format!("EC2 has none of its instance types in any of its zones{said}{}", maybe(until))
            }
            Self::OverPriceCap { cheapest } => {
                format!("every spot offer costs more than it may, even the cheapest: {}", cheapest.sentence(now))
            }
            Self::LaunchesRefused { last, until } => format!("EC2 refuses its launches ({last}){}", next_try(until)),
            Self::BudgetSpent { spent, limit, per, until } => {
                format!("its budget is used up: {spent:.2} of {limit:.2} USD this {}{}", per.as_str(), next_try(until))
            }
            Self::Throttled { until } => format!("EC2 keeps asking for patience with launches{}", next_try(until)),
            Self::QueueUnreadable { server, queue } => format!("the queue of {server} cannot be read{}", why(queue)),
            Self::TokenRefused { failure } => format!("its workers cannot ask for jobs: {failure}"),
            Self::TokenEnds { until, token } => token_ends(TokenEnd { at: *until, token: *token }, now),
            Self::FactsUnknown { facts } => format!("what GitLab knows of it cannot be read{}", why(facts)),
            Self::LaunchPlanUnknown { launch_plan } => {
                format!("image, subnets and launch template cannot be prepared{}", why(launch_plan))
            }
            Self::Ec2Unlisted { ec2 } => {
                format!("the instances in EC2 cannot be listed, and nothing is launched or ended{}", why(ec2))
            }
            Self::AnotherManager { started_at, is_elder } => {
                let so = if *is_elder { "was there before, so that this one launches nothing" } else { "came later" };
                format!("another manager of this name, started at {started_at:.0}, launches workers; it {so}")
            }
            Self::JobsUnmatched { jobs, oldest, longest, mismatches } => {
                let which = if *jobs == 1 { format!("job {oldest}") } else { format!("{jobs} jobs, first {oldest},") };
                let why = why_unmatched(mismatches, now);
                format!("no runner here may take {which} waiting for {}: {why}", Brief(*longest))
            }
            Self::JobsWait { jobs, oldest, longest, limit, mostly, of_those } => {
                let which = if *jobs == 1 { format!("job {oldest} waits") } else { format!("{jobs} jobs wait") };
                let most = if of_those == jobs { String::new() } else { format!(", {of_those} of them because") };
                format!(
                    "{which} longer than {}, the longest {}{most}: {}",
                    Brief(*limit),
                    Brief(*longest),
                    mostly.sentence(now)
                )
            }
            Self::WorkersUnreachable { workers, of, worker } => {
                let which = if *workers == 1 { worker.to_string() } else { format!("{worker} and others") };
                format!("{workers} of {of} workers cannot be reached ({which}): nobody knows what they run")
            }
            Self::LawsBroken { times, last } => {
                format!("the engine has broken a law of its own {times} times, which is a bug; the last: {last}")
            }
            Self::ProjectsBlind { server, projects } => {
                format!("{projects} projects of {server} are hidden from the api_token: their jobs wait unseen")
            }
            Self::Paused => "an operator has paused it, and jobs wait".into(),
            Self::Ceiling { key, value } => {
                let key: &str = key.into();
                format!("{key} = {value} is reached, and jobs wait")
            }
        }
    }
}

fn token_ends(end: TokenEnd, now: Timestamp) -> String {
    match since(end.at, now) {
        left if left.is_zero() => format!("its {} has ended", end.key()),
        left => format!("its {} ends in {}", end.key(), Brief(left)),
    }
}

fn why_unmatched(mismatches: &[Mismatch], now: Timestamp) -> String {
    if mismatches.is_empty() {
        return "no runner here is configured for their server".to_owned();
    }
    mismatches.iter().map(|mismatch| mismatch.sentence(now)).collect::<Vec<_>>().join("; ")
}

/// Why something is not known, and since when.
fn why(known: &Knowledge) -> String {
    match known {
        Knowledge::Known => String::new(),
        Knowledge::Stale { age, failure } => format!(" (last read {} ago): {failure}", Brief(*age)),
        Knowledge::Unknown { failure } => format!(": {failure}"),
    }
}

/// What to do about a trouble of this runner, or of none: a sentence with a command that can be copied.
pub(super) fn advice(reason: &TroubleReason, runner: Option<&RunnerName>) -> String {
    let of_runner = runner.map(|runner| format!(" --runner {runner}")).unwrap_or_default();
    let doctor = format!("`runner-fleet doctor{of_runner}`");
    let status = format!("`runner-fleet status{of_runner}`");
    let at_once = |did: &str, verb: &str| {
        runner.map(|name| format!("; {did}, `runner-fleet {verb} {name}` goes on at once")).unwrap_or_default()
    };
    match reason {
        TroubleReason::NotStarted { .. } => {
            "put right what is missing; it is tried again every minute, and at once with `runner-fleet reload`".into()
        }
        TroubleReason::BootsFail { .. } => {
            format!("{doctor} looks at network, image and role{}", at_once("when the cause is mended", "retry"))
        }
        TroubleReason::WorkersUnfit { .. } => {
            format!("look at the image, at disk_size and at Docker on a worker{}", at_once("then", "retry"))
        }
        TroubleReason::NoCapacity { .. } => format!(
            "give it more instance_types, or subnets in more zones, or on_demand_fallback; {status} shows what it asks for"
        ),
        TroubleReason::OverPriceCap { .. } => {
            format!("raise spot_max_price, or give it more instance_types; {status} shows every offer and its price")
        }
        TroubleReason::LaunchesRefused { .. } => {
            format!("{doctor} finds the right, quota or parameter{}", at_once("when it is mended", "retry"))
        }
        TroubleReason::BudgetSpent { per, .. } => {
            let per = per.as_str();
            format!("raise budget, or let the jobs wait for the next {per}; `runner-fleet costs` shows what it went to")
        }
        TroubleReason::Throttled { .. } => format!(
            "find what else calls EC2 in this account and region, or have its API limits raised; {status} shows how it goes"
        ),
        TroubleReason::QueueUnreadable { queue, .. } => match queue.failure() {
            Some(failure) if is_refusal(failure) => renew("api_token"),
            Some(_) | None => "see whether GitLab is up and can be reached from here: `runner-fleet doctor`".into(),
        },
        TroubleReason::TokenRefused { .. } => renew("token"),
        TroubleReason::TokenEnds { until, token } => renew(TokenEnd { at: *until, token: *token }.key()),
        TroubleReason::FactsUnknown { .. } => format!("{doctor} asks GitLab step by step"),
        TroubleReason::LaunchPlanUnknown { .. } => format!("{doctor} looks at image, subnets, rights and role"),
        TroubleReason::Ec2Unlisted { .. } => format!("{doctor} looks at credentials, rights and the way to EC2"),
        TroubleReason::AnotherManager { .. } => {
            "stop one of the two: `systemctl stop runner-fleet` on its host, or give it another fleet.manager".into()
        }
        TroubleReason::JobsUnmatched { oldest, .. } => {
            format!("give a runner the tag, or the job another; `runner-fleet status --job {oldest}` says why it waits")
        }
        TroubleReason::JobsWait { oldest, .. } => {
            format!(
                "`runner-fleet status --job {oldest}` says why the oldest waits, and `runner-fleet plan` what comes next"
            )
        }
        TroubleReason::WorkersUnreachable { worker, .. } => format!(
            "{doctor} looks at the network; `runner-fleet ssh {worker}` tries one, `runner-fleet drain --force {worker}` ends it"
        ),
        TroubleReason::LawsBroken { .. } => "please report it, with what `runner-fleet support-bundle` writes".into(),
        TroubleReason::ProjectsBlind { .. } => {
            "make the owner of the api_token a member of them, or name `projects` or `groups`: `runner-fleet doctor`"
                .into()
        }
        TroubleReason::Paused => match runner {
            Some(name) => format!("`runner-fleet resume {name}` lets it launch again"),
            None => "`runner-fleet resume RUNNER` lets it launch again".into(),
        },
        TroubleReason::Ceiling { key, .. } => {
            let key: &str = key.into();
            format!("raise {key} if that may cost what it does, then `runner-fleet reload`; else let them wait")
        }
    }
}

fn is_refusal(failure: &Failure) -> bool {
    matches!(failure.class, FailureClass::Denied | FailureClass::TokenRefused)
}

fn renew(token: &str) -> String {
    format!("make a new {token} in GitLab, put it where the configuration says, then `runner-fleet reload`")
}
