//! The watch: EC2 is listed now and then, and nothing else is done.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, AwsError};
use crate::live::clock::Clock;
use runner_fleet_engine::Instance;
use runner_fleet_engine::failure::chain;

use super::seen::{KeptError, Watch};

/// Which machines are the other manager's: a tag's key, and its value with `*` and `?` as EC2 reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// `Name`, or `aws:autoscaling:groupName`.
    pub key: String,
    /// `runner-*-gitlab-*`.
    pub value: String,
}

/// What a watch is made of.
#[derive(Debug)]
pub struct Plan<'p> {
    /// Every region that the runners are in.
    pub regions: Vec<Aws>,
    /// Whose machines.
    pub patterns: Vec<Pattern>,
    /// Between two looks.
    pub every: Duration,
    /// When it is over.
    pub until: Timestamp,
    /// Where it is kept.
    pub folder: &'p Path,
    /// Ends it at once.
    pub stop: CancellationToken,
}

/// Looks until the time is over or somebody ends it. `heard` is told the watch after each look, and a failure once when it
/// begins and once when it is over.
///
/// # Errors
/// The file cannot be written: the watch would be lost.
pub async fn watch(
    mut watch: Watch,
    plan: &Plan<'_>,
    clock: Clock,
    heard: &mut dyn FnMut(&Watch, Option<&str>),
) -> Result<Watch, KeptError> {
    let mut failing = false;
    loop {
        let now = clock.now();
        match plan.look().await {
            Ok(found) => {
                watch.look(now, plan.every, &found);
                watch.keep(plan.folder)?;
                heard(&watch, failing.then_some("EC2 answers again"));
                failing = false;
            }
            Err(error) => {
                let news = format!("cannot look, trying again: {}", chain(&error));
                heard(&watch, (!failing).then_some(&news));
                failing = true;
            }
        }
        if clock.now() >= plan.until || plan.stop.run_until_cancelled(clock.sleep(plan.every)).await.is_none() {
            return Ok(watch);
        }
    }
}

impl Plan<'_> {
    /// Every region or none: a cut look would be machines that come and go.
    async fn look(&self) -> Result<Vec<(String, Vec<(Instance, String)>)>, AwsError> {
        let mut found = Vec::with_capacity(self.regions.len());
        for aws in &self.regions {
            let mut listed = Vec::new();
            for Pattern { key, value } in &self.patterns {
                listed.extend(aws.others(key, value).await?);
            }
            found.push((aws.region().to_owned(), listed));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, aws_with};

    const PAGE: &str = include_str!("../../tests/recorded/aws/describe_instances_2.xml");

    #[tokio::test]
    async fn a_failure_is_told_once_and_its_end_once() {
        let folder = tempfile::tempdir().unwrap();
        let denied = || Answer::ec2_error(403, "UnauthorizedOperation", "no");
        let (aws, _) = aws_with([Answer::xml(200, PAGE), denied(), denied(), Answer::xml(200, PAGE)]);
        let stop = CancellationToken::new();
        let plan = Plan {
            regions: vec![aws],
            patterns: vec![Pattern { key: "Name".to_owned(), value: "runner-*".to_owned() }],
            every: Duration::from_millis(1),
            until: Timestamp::MAX,
            folder: folder.path(),
            stop: stop.clone(),
        };
        let (mut told, mut looks) = (Vec::new(), 0);
        let mut heard = |_: &Watch, news: Option<&str>| {
            told.extend(news.map(|news| news.split(',').next().unwrap_or_default().to_owned()));
            looks += 1;
            if looks == 4 {
                stop.cancel();
            }
        };
        let seen = watch(Watch::new(Timestamp::UNIX_EPOCH), &plan, Clock::real(), &mut heard).await.unwrap();
        assert_eq!(told, ["cannot look", "EC2 answers again"]);
        assert_eq!((seen.looks, seen.machines.len()), (2, 1));
        assert_eq!(Watch::kept(plan.folder).unwrap(), Some(seen), "what was seen is kept");
    }
}
