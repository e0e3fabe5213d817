//! What came of a launch, as sentences for the log.

use runner_fleet_engine::{LaunchAnswer, Offering, RunnerName};

/// One sentence for each reason why EC2 did not launch all, with the offerings that it was given for.
pub(super) fn launch_failures(runner: &RunnerName, answer: &LaunchAnswer) -> Vec<String> {
    let sentence = |((code, message), offerings): (_, Vec<&Offering>)| match offerings.as_slice() {
        [] => format!("cannot launch workers for {runner}: {code}: {message}"),
        all => {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!("cannot launch workers for {runner} from {}: {code}: {message}", all.join(", "))
        }
    };
    answer.reasons().into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::{InstanceType, LaunchError, LaunchErrorClass, Leftover, Market, SubnetId, Zone};

    fn error(zone: Option<&str>, code: &str) -> LaunchError {
        let offering = zone.map(|zone| Offering {
            market: Market::Spot,
            instance_type: InstanceType::new("c7g.large"),
            zone: Zone::new(zone),
            subnet: SubnetId::new("subnet-1"),
        });
        LaunchError { offering, class: LaunchErrorClass::Capacity, code: code.into(), message: "Not now.".into() }
    }

    #[test]
    fn a_reason_is_told_once_with_all_its_offerings() {
        let errors = vec![error(Some("a"), "Insufficient"), error(None, "Limit"), error(Some("b"), "Insufficient")];
        let answer = LaunchAnswer { launched: Vec::new(), errors, leftover: Leftover::None };

        assert_eq!(
            launch_failures(&RunnerName::new("arm"), &answer),
            [
                "cannot launch workers for arm from spot c7g.large in a, spot c7g.large in b: Insufficient: Not now.",
                "cannot launch workers for arm: Limit: Not now.",
            ]
        );
    }

    #[test]
    fn a_launch_that_worked_is_no_news() {
        let answer = LaunchAnswer { launched: Vec::new(), errors: Vec::new(), leftover: Leftover::None };
        assert!(launch_failures(&RunnerName::new("arm"), &answer).is_empty());
    }
}
