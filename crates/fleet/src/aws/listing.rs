//! All instances that carry our manager tag, in whatever state: the fleet's database.
//!
//! Promises and oddities: EC2 is eventually consistent (a young instance may be missing, a dead one shows for about an
//! hour); a page may be empty and not the last. Strict about what decisions need (id, state, launch time: a listing
//! without them has failed), calm about the rest. Every page or none: a cut listing would look like dead workers.
//! APIs: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceStatus.html>.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use aws_sdk_ec2::types::{Filter, Instance as Record, InstanceLifecycleType, InstanceStateName, SummaryStatus};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::client::Aws;
use super::error::AwsError;
use super::tag;
use runner_fleet_engine::{
    ConfigHash, EndedBy, Health, Instance, InstanceState, InstanceType, LaunchToken, Market, RunnerName, StateReason,
    WorkerId, Zone,
};

const LIST: &str = "ec2:DescribeInstances";
const STATUS: &str = "ec2:DescribeInstanceStatus";
const LISTING: &str = "list workers";
const CHECKING: &str = "read the status checks of instances";
/// A hundred thousand instances; more is an endless loop of pages, not a fleet.
const PAGES_MAX: usize = 100;
/// Stands for a tag or a value that is missing and that no decision hangs on.
const UNKNOWN: &str = "unknown";

/// At which of its addresses a worker is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// Inside the VPC.
    Private,
    /// Over the internet.
    Public,
}

impl Aws {
    /// Lists every instance of the manager, the ended ones too, ordered by id.
    ///
    /// `addresses` says at which address the workers of a runner are reached. An instance whose runner tag is missing
    /// belongs to the runner `unknown`. With `with_health` the status checks of the region are read too (one call for
    /// each 1,000 running instances of the account); running instances that none of them shows as impaired are well.
    ///
    /// # Errors
    /// A page failed, or an instance lacks its id, state or launch time: then nothing is known.
    pub async fn instances(
        &self,
        manager: &str,
        addresses: &(dyn Fn(&RunnerName) -> AddressKind + Sync),
        with_health: bool,
    ) -> Result<Vec<Instance>, AwsError> {
        let mut found = self.describe_instances(manager, addresses).await?;
        if with_health {
            let impaired = self.impaired_instances().await?;
            for instance in found.values_mut().filter(|instance| instance.state == InstanceState::Running) {
                let is_impaired = impaired.contains(&instance.id);
                instance.health = if is_impaired { Health::Impaired } else { Health::Ok };
            }
        }
        Ok(found.into_values().collect())
    }

    async fn describe_instances(
        &self,
        manager: &str,
        addresses: &(dyn Fn(&RunnerName) -> AddressKind + Sync),
    ) -> Result<BTreeMap<WorkerId, Instance>, AwsError> {
        let mut found = BTreeMap::new();
        let mut take = |record: &Record| {
            if tag::find(record.tags(), tag::MANAGER) == Some(manager) {
                let instance = read(record, addresses)?;
                found.insert(instance.id.clone(), instance);
            }
            Ok(())
        };
        self.records(tag::filter(tag::MANAGER, manager), &mut take).await?;
        Ok(found)
    }

    /// The instances of other managers: those whose tag `key` matches `pattern`, with `*` and `?` as EC2 reads them. Each
    /// comes with the name that EC2's console shows.
    ///
    /// # Errors
    /// A page failed, or an instance lacks its id, state or launch time: then nothing is known.
    pub async fn others(&self, key: &str, pattern: &str) -> Result<Vec<(Instance, String)>, AwsError> {
        let filter = Filter::builder().name(format!("tag:{key}")).values(pattern).build();
        let mut found = Vec::new();
        let mut take = |record: &Record| {
            let name = tag::find(record.tags(), tag::NAME).unwrap_or_default().to_owned();
            found.push((read(record, &|_| AddressKind::Private)?, name));
            Ok(())
        };
        self.records(filter, &mut take).await?;
        Ok(found)
    }

    /// All that the filter lets through, page by page; an error, also of `take`, ends it.
    async fn records(
        &self,
        filter: Filter,
        take: &mut (dyn FnMut(&Record) -> Result<(), String> + Send),
    ) -> Result<(), AwsError> {
        let request = self.ec2.describe_instances().filters(filter).max_results(self.instances_per_page);
        let mut token = None;
        for _ in 0..PAGES_MAX {
            let page = request.clone().set_next_token(token).send().await.map_err(self.failed(LISTING, LIST))?;
            for record in page.reservations().iter().flat_map(|reservation| reservation.instances()) {
                take(record).map_err(|what| self.unusable(LISTING, LIST, what))?;
            }
            token = page.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if token.is_none() {
                return Ok(());
            }
        }
        Err(self.unusable(LISTING, LIST, format!("more than {PAGES_MAX} pages")))
    }

    /// The running instances of the account and region whose status checks fail, ours and others. By pages and not by
    /// ids: a call takes only 100 ids.
    async fn impaired_instances(&self) -> Result<BTreeSet<WorkerId>, AwsError> {
        let request = self.ec2.describe_instance_status().max_results(self.instances_per_page);
        let (mut impaired, mut token) = (BTreeSet::new(), None);
        for _ in 0..PAGES_MAX {
            let page = request.clone().set_next_token(token).send().await.map_err(self.failed(CHECKING, STATUS))?;
            for status in page.instance_statuses() {
                let checks = [status.instance_status(), status.system_status()];
                let fails = |check: &&aws_sdk_ec2::types::InstanceStatusSummary| {
                    check.status() == Some(&SummaryStatus::Impaired)
                };
                if let (Some(id), true) = (status.instance_id(), checks.iter().flatten().any(fails)) {
                    impaired.insert(WorkerId::new(id));
                }
            }
            token = page.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if token.is_none() {
                return Ok(impaired);
            }
        }
        Err(self.unusable(CHECKING, STATUS, format!("more than {PAGES_MAX} pages")))
    }
}

/// Reads one record; `Err` says what it lacks.
fn read(record: &Record, addresses: &(dyn Fn(&RunnerName) -> AddressKind + Sync)) -> Result<Instance, String> {
    let id = record.instance_id().filter(|id| !id.is_empty()).ok_or("an instance without an id")?;
    let state = record
        .state()
        .and_then(|state| state.name())
        .and_then(state)
        .ok_or_else(|| format!("{id} has no known state"))?;
    let launched_at = record
        .launch_time()
        .and_then(|time| Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or(0)).ok())
        .ok_or_else(|| format!("{id} has no launch time"))?;
    let tags = record.tags();
    let runner = RunnerName::new(tag::find(tags, tag::RUNNER).unwrap_or(UNKNOWN));
    let address = match addresses(&runner) {
        AddressKind::Private => record.private_ip_address(),
        AddressKind::Public => record.public_ip_address(),
    };
    let has_left = !matches!(state, InstanceState::Pending | InstanceState::Running);
    Ok(Instance {
        id: WorkerId::new(id),
        config: ConfigHash::new(tag::find(tags, tag::CONFIG).unwrap_or(UNKNOWN)),
        launch: tag::find(tags, tag::LAUNCH).map(LaunchToken::new),
        state,
        state_reason: record.state_reason().and_then(|why| why.code()).filter(|_| has_left).map(state_reason),
        launched_at,
        ended_at: record.state_transition_reason().filter(|_| has_left).and_then(ended_at),
        instance_type: InstanceType::new(record.instance_type().map_or(UNKNOWN, |kind| kind.as_str())),
        zone: Zone::new(record.placement().and_then(|place| place.availability_zone()).unwrap_or(UNKNOWN)),
        market: match record.instance_lifecycle() {
            Some(InstanceLifecycleType::Spot) => Market::Spot,
            _ => Market::OnDemand,
        },
        address: address.and_then(|address| address.parse::<IpAddr>().ok()),
        hold: tag::find(tags, tag::HOLD).is_some(),
        health: Health::Unknown,
        runner,
    })
}

fn state(name: &InstanceStateName) -> Option<InstanceState> {
    match name {
        InstanceStateName::Pending => Some(InstanceState::Pending),
        InstanceStateName::Running => Some(InstanceState::Running),
        InstanceStateName::Stopping => Some(InstanceState::Stopping),
        InstanceStateName::Stopped => Some(InstanceState::Stopped),
        InstanceStateName::ShuttingDown => Some(InstanceState::ShuttingDown),
        InstanceStateName::Terminated => Some(InstanceState::Terminated),
        _ => None,
    }
}

/// When an instance began to end, from its `StateTransitionReason`: `User initiated (2026-09-01 08:00:00 GMT)`. Of an end of
/// EC2's own doing it says no time.
fn ended_at(transition: &str) -> Option<Timestamp> {
    let (_, rest) = transition.split_once('(')?;
    let (time, _) = rest.split_once(" GMT)")?;
    let time: DateTime = time.parse().ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Codes of EC2's own doing begin with `Server.`, all others with `Client.` or `User`.
fn state_reason(code: &str) -> StateReason {
    let by = if code.starts_with("Server.") { EndedBy::Ec2 } else { EndedBy::Us };
    StateReason { by, code: code.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::aws::replay::{Answer, aws_with, hurried_aws_with};

    const PAGE_1: &str = include_str!("../../tests/recorded/aws/describe_instances_1.xml");
    const PAGE_2: &str = include_str!("../../tests/recorded/aws/describe_instances_2.xml");
    const STATUSES: &str = include_str!("../../tests/recorded/aws/describe_instance_status.xml");
    const EMPTY: &str = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";

    async fn listing(answers: impl IntoIterator<Item = Answer>, with_health: bool) -> Result<Vec<Instance>, AwsError> {
        let (aws, _) = aws_with(answers);
        let public = |runner: &RunnerName| match runner.as_str() {
            "arm" => AddressKind::Private,
            _ => AddressKind::Public,
        };
        aws.instances("ci-eu", &public, with_health).await
    }

    #[test]
    fn the_time_of_an_end_is_read_where_it_is_told() {
        let at = |text| ended_at(text).map(|at| at.to_string());
        assert_eq!(at("User initiated (2026-09-01 08:00:07 GMT)").as_deref(), Some("2026-09-01T08:00:07Z"));
        for text in ["", "User initiated", "Server.SpotInstanceTermination", "User initiated (soon GMT)", "(2026 GMT"] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn all_pages_are_read_and_foreign_instances_dropped() {
        let found = listing([PAGE_1, PAGE_2, STATUSES].map(|body| Answer::xml(200, body)), true).await.unwrap();
        insta::assert_debug_snapshot!("instances", found);
    }

    #[tokio::test]
    async fn the_listing_asks_by_tag_for_the_largest_page() {
        let (aws, replay) = aws_with([PAGE_1, PAGE_2].map(|body| Answer::xml(200, body)));
        aws.instances("ci-eu", &|_| AddressKind::Private, false).await.unwrap();
        insta::assert_snapshot!("describe_instances", format!("{}\n\n{}", replay.wire(0), replay.wire(1)));
    }

    #[tokio::test]
    async fn nothing_is_a_valid_answer() {
        assert!(listing([Answer::xml(200, EMPTY)], false).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_listing_of_which_one_page_fails_has_failed() {
        let (page_1, cut) = (|| Answer::xml(200, PAGE_1), &PAGE_2[..PAGE_2.len() / 2]);
        let denied = Answer::ec2_error(403, "UnauthorizedOperation", "no");
        for second in [denied, Answer::xml(200, cut), Answer::xml(200, "<html/>"), Answer::xml(200, "")] {
            let shown = format!("{second:?}");
            assert!(listing([page_1(), second], false).await.is_err(), "{shown}");
        }
    }

    #[tokio::test]
    async fn a_record_without_id_state_or_launch_time_is_no_listing() {
        for (what, expected) in [
            ("<instanceId>i-01</instanceId>", "an instance without an id"),
            ("<launchTime>2026-09-01T08:00:00.000Z</launchTime>", "i-01 has no launch time"),
            ("<name>running</name>", "i-01 has no known state"),
        ] {
            assert!(PAGE_1.contains(what));
            let error = listing([Answer::xml(200, &PAGE_1.replacen(what, "", 1))], false).await.unwrap_err();
            assert!(error.to_string().contains(expected) && error.is_transient(), "{error}");
        }
    }

    #[tokio::test]
    async fn endless_pages_end() {
        let pages = (0..=PAGES_MAX).map(|_| Answer::xml(200, PAGE_1));
        let error = listing(pages, false).await.unwrap_err();
        assert!(error.to_string().contains("more than 100 pages"), "{error}");
    }

    #[tokio::test]
    async fn a_page_that_never_comes_is_given_up_in_the_users_time() {
        let aws = hurried_aws_with([Answer::never(), Answer::never(), Answer::never()], Duration::from_millis(20));
        let error = aws.instances("ci-eu", &|_| AddressKind::Private, false).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("no answer in time"), "{error}");
        assert_eq!(aws.calls().of_service("ec2"), 3, "the SDK's standard number of attempts");
    }

    #[tokio::test]
    async fn a_throttled_page_is_repeated_by_the_sdk() {
        let throttled = Answer::ec2_error(503, "RequestLimitExceeded", "slow down");
        let found = listing([throttled, Answer::xml(200, EMPTY)], false).await.unwrap();
        assert!(found.is_empty());
    }
}
