//! What came of a launch, read from CreateFleet's answer.
//!
//! Errors come with HTTP 200, also beside instances; they describe failed offerings, not missing instances. Some name no
//! offering at all. Sources: `pkg/providers/instance/instance.go` and `pkg/batcher/createfleet.go` of
//! aws/karpenter-provider-aws.

use aws_sdk_ec2::operation::create_fleet::CreateFleetOutput;
use aws_sdk_ec2::types::{CreateFleetError, CreateFleetInstance, FleetLaunchTemplateOverrides, InstanceLifecycle};

use super::error::{AwsError, Meaning, shorten};
use super::error_table::{class_of, class_of_call};
use runner_fleet_engine::{
    InstanceType, Launch, LaunchAnswer, LaunchError, LaunchErrorClass, LaunchedWorker, Leftover, Market, Offering,
    WorkerId, Zone,
};

/// Reads an answer to a launch.
pub(crate) fn read(launch: &Launch, output: &CreateFleetOutput) -> LaunchAnswer {
    let launched: Vec<_> = output.instances().iter().flat_map(|instances| workers(launch, instances)).collect();
    if launched.is_empty() && output.errors().is_empty() && output.fleet_id().is_none() {
        return unanswered("CreateFleet's answer names neither a fleet nor instances nor errors");
    }
    let mut errors: Vec<LaunchError> = Vec::new();
    for error in output.errors().iter().flat_map(|error| errors_of(launch, error)) {
        if !errors.iter().any(|other| other.offering == error.offering && other.code == error.code) {
            errors.push(error);
        }
    }
    let asked = usize::try_from(launch.count).unwrap_or(usize::MAX);
    if launched.len() < asked && errors.is_empty() {
        errors.push(LaunchError {
            offering: None,
            class: LaunchErrorClass::Capacity,
            code: "FewerThanAsked".to_owned(),
            message: format!("EC2 gave {} of {asked} and no reason", launched.len()),
        });
    }
    LaunchAnswer { launched, errors, leftover: Leftover::None }
}

/// The answer of a call that failed as a whole.
pub(crate) fn of_error(error: &AwsError) -> LaunchAnswer {
    let AwsError::Call(call) = error else {
        return not_sent(&error.to_string());
    };
    let class = class_of_call(call.meaning, &call.code, &call.message);
    let leftover = match call.meaning {
        Meaning::Unanswered => Leftover::Possible,
        // Whoever stumbled may have done so after the launch.
        Meaning::ServerFault if class == LaunchErrorClass::Slow => Leftover::Possible,
        _ => Leftover::None,
    };
    let code = if call.code.is_empty() { "NoAnswer".to_owned() } else { call.code.clone() };
    LaunchAnswer {
        launched: Vec::new(),
        errors: vec![LaunchError { offering: None, class, code, message: shorten(&error.to_string()) }],
        leftover,
    }
}

/// The answer of a call that was never sent because the request makes no sense.
pub(crate) fn not_sent(why: &str) -> LaunchAnswer {
    LaunchAnswer {
        launched: Vec::new(),
        errors: vec![LaunchError {
            offering: None,
            class: LaunchErrorClass::Invalid,
            code: "NotSent".to_owned(),
            message: shorten(why),
        }],
        leftover: Leftover::None,
    }
}

fn unanswered(why: &str) -> LaunchAnswer {
    LaunchAnswer {
        launched: Vec::new(),
        errors: vec![LaunchError {
            offering: None,
            class: LaunchErrorClass::Slow,
            code: "NoAnswer".to_owned(),
            message: why.to_owned(),
        }],
        leftover: Leftover::Possible,
    }
}

/// The workers of one entry. An id counts even where EC2 does not say what it is: the next listing does.
fn workers(launch: &Launch, instances: &CreateFleetInstance) -> Vec<LaunchedWorker> {
    let overrides = instances.launch_template_and_overrides().and_then(|both| both.overrides());
    let kind = instances.instance_type().or_else(|| overrides.and_then(|o| o.instance_type()));
    let kind = InstanceType::new(kind.map_or("unknown", |kind| kind.as_str()));
    let subnet = instances.subnet_id().or_else(|| overrides.and_then(|o| o.subnet_id()));
    let zone = instances
        .availability_zone()
        .or_else(|| overrides.and_then(|o| o.availability_zone()))
        .or_else(|| {
            let of_subnet = launch.offerings.iter().find(|offering| Some(offering.subnet.as_str()) == subnet);
            of_subnet.map(|offering| offering.zone.as_str())
        })
        .unwrap_or("unknown");
    let market = match instances.lifecycle() {
        Some(InstanceLifecycle::Spot) => Market::Spot,
        Some(InstanceLifecycle::OnDemand) => Market::OnDemand,
        _ => launch.market,
    };
    let worker = |id: &String| LaunchedWorker {
        id: WorkerId::new(id),
        instance_type: kind.clone(),
        zone: Zone::new(zone),
        market,
    };
    instances.instance_ids().iter().map(worker).collect()
}

/// One error for each offering that it concerns: an error that names only a zone concerns every type in it.
fn errors_of(launch: &Launch, error: &CreateFleetError) -> Vec<LaunchError> {
    let code = error.error_code().unwrap_or_default();
    let message = error.error_message().unwrap_or_default();
    let overrides = error.launch_template_and_overrides().and_then(|both| both.overrides());
    let concerned: Vec<&Offering> = match overrides {
        Some(overrides) => launch.offerings.iter().filter(|offering| concerns(overrides, offering)).collect(),
        None => Vec::new(),
    };
    let told = |offering: Option<&Offering>| LaunchError {
        offering: offering.cloned(),
        class: class_of(code, message, offering.is_some()),
        code: code.to_owned(),
        message: shorten(message),
    };
    if concerned.is_empty() { vec![told(None)] } else { concerned.into_iter().map(|o| told(Some(o))).collect() }
}

/// Whether what an error says fits to an offering; what it leaves open fits, but saying nothing concerns nothing.
fn concerns(overrides: &FleetLaunchTemplateOverrides, offering: &Offering) -> bool {
    let said = [
        (overrides.instance_type().map(|kind| kind.as_str()), offering.instance_type.as_str()),
        (overrides.subnet_id(), offering.subnet.as_str()),
        (overrides.availability_zone(), offering.zone.as_str()),
    ];
    said.iter().any(|(theirs, _)| theirs.is_some())
        && said.iter().all(|(theirs, ours)| theirs.is_none_or(|theirs| theirs == *ours))
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::aws::replay::{Answer, a_launch, aws_with};

    async fn answer_to(body: &str) -> LaunchAnswer {
        let (aws, _) = aws_with([Answer::xml(200, body)]);
        aws.launch("ci-eu", &a_launch(Market::Spot)).await
    }

    #[tokio::test]
    async fn instances_are_read_with_type_zone_and_market() {
        let answer = answer_to(include_str!("../../tests/recorded/aws/create_fleet.xml")).await;
        let told: Vec<String> = answer
            .launched
            .iter()
            .map(|worker| format!("{} {} {} {}", worker.id, worker.instance_type, worker.zone, worker.market))
            .collect();
        assert_eq!(
            told,
            [
                "i-01 c8g.large eu-central-1a spot",
                "i-02 c8g.large eu-central-1a spot",
                "i-03 c7g.large eu-central-1b spot"
            ]
        );
        assert!(answer.errors.is_empty() && answer.leftover == Leftover::None, "{answer:?}");
    }

    #[tokio::test]
    async fn errors_are_read_for_each_offering_beside_instances() {
        let answer = answer_to(include_str!("../../tests/recorded/aws/create_fleet_errors.xml")).await;
        assert_eq!(answer.launched.len(), 1);
        insta::assert_debug_snapshot!("create_fleet_errors", answer.errors);
    }

    #[tokio::test]
    async fn fewer_than_asked_without_a_reason_is_a_capacity_failure() {
        let answer = answer_to("<CreateFleetResponse><fleetId>fleet-1</fleetId></CreateFleetResponse>").await;
        assert_eq!(answer.leftover, Leftover::None);
        assert_eq!(answer.errors.len(), 1);
        assert_eq!((answer.errors[0].class, &answer.errors[0].offering), (LaunchErrorClass::Capacity, &None));
    }
}
