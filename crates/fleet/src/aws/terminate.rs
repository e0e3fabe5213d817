//! The end: TerminateInstances for many at once.
//!
//! Oddities: one bad id fails the whole call (and with instances in several zones, those of its zone), so that it is left
//! out and the call repeated; the call is idempotent. This file terminates whatever it is given: callers give it only
//! ids from a listing by our manager tag, and the IAM policy lets no other instance be terminated.
//! API: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html>.

use super::client::Aws;
use super::error::AwsError;
use runner_fleet_engine::{Failure, WorkerId};

const TERMINATE: &str = "ec2:TerminateInstances";
/// AWS advises batches; the API's own limit is 1,000, and a failed call concerns all of its ids.
const PER_CALL: usize = 500;
/// EC2 names all unknown ids at once, so that the second attempt works; more is left to the next listing.
const ATTEMPTS: usize = 5;

/// A worker that could not be terminated, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminateFailure {
    /// Which.
    pub worker: WorkerId,
    /// A sentence.
    pub failure: Failure,
}

impl Aws {
    /// Terminates all of these; answers those that EC2 refused. The others are seen ending in the next listing.
    pub async fn terminate(&self, workers: &[WorkerId]) -> Vec<TerminateFailure> {
        let mut failures = Vec::new();
        for chunk in workers.chunks(PER_CALL) {
            failures.extend(self.terminate_chunk(chunk.to_vec()).await);
        }
        failures
    }

    async fn terminate_chunk(&self, mut left: Vec<WorkerId>) -> Vec<TerminateFailure> {
        let mut failures = Vec::new();
        for attempt in 1..=ATTEMPTS {
            let Err(error) = self.terminate_once(&left).await else {
                return failures;
            };
            let (bad, good) = if attempt < ATTEMPTS { split_off_named(left, &error) } else { (left, Vec::new()) };
            let failure = Failure::from(error);
            failures.extend(bad.into_iter().map(|worker| TerminateFailure { worker, failure: failure.clone() }));
            if good.is_empty() {
                return failures;
            }
            left = good;
        }
        failures
    }

    async fn terminate_once(&self, workers: &[WorkerId]) -> Result<(), AwsError> {
        let doing = format!("terminate {} workers", workers.len());
        self.turn(&doing, TERMINATE).await?;
        let ids = workers.iter().map(|worker| worker.as_str().to_owned()).collect();
        let call = self.ec2.terminate_instances().set_instance_ids(Some(ids)).send();
        call.await.map(drop).map_err(self.failed(doing, TERMINATE))
    }
}

/// The workers that the refusal names, and the rest; all of them are bad when it names none, or is about the call.
fn split_off_named(workers: Vec<WorkerId>, error: &AwsError) -> (Vec<WorkerId>, Vec<WorkerId>) {
    let message = match error {
        AwsError::Call(call) if !error.is_transient() && !error.is_denied() => call.message.as_str(),
        _ => return (workers, Vec::new()),
    };
    let named: Vec<&str> = message.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
    let (bad, good): (Vec<_>, Vec<_>) = workers.into_iter().partition(|worker| named.contains(&worker.as_str()));
    if bad.is_empty() { (good, bad) } else { (bad, good) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, aws_with};

    const DONE: &str = "<TerminateInstancesResponse><instancesSet/></TerminateInstancesResponse>";

    fn ids(names: &[&str]) -> Vec<WorkerId> {
        names.iter().map(|name| WorkerId::new(*name)).collect()
    }

    #[tokio::test]
    async fn an_unknown_id_is_left_out_and_the_rest_is_terminated() {
        let message = "The instance IDs 'i-2, i-4' do not exist";
        let (aws, replay) =
            aws_with([Answer::ec2_error(400, "InvalidInstanceID.NotFound", message), Answer::xml(200, DONE)]);

        let failures = aws.terminate(&ids(&["i-1", "i-2", "i-3", "i-4"])).await;

        let failed: Vec<_> = failures.iter().map(|failure| failure.worker.as_str()).collect();
        assert_eq!(failed, ["i-2", "i-4"]);
        assert!(failures[0].failure.text.contains("do not exist"), "{failures:?}");
        insta::assert_snapshot!("terminate_instances", replay.wire(1));
    }

    #[tokio::test]
    async fn a_refusal_that_names_nobody_concerns_all() {
        let (aws, replay) = aws_with([Answer::ec2_error(403, "UnauthorizedOperation", "no")]);
        let failures = aws.terminate(&ids(&["i-1", "i-2"])).await;
        assert_eq!(failures.len(), 2);
        assert!(failures[1].failure.text.contains("ec2:TerminateInstances is denied"), "{failures:?}");
        assert_eq!(replay.bodies().len(), 1);
    }

    #[tokio::test]
    async fn many_go_in_calls_of_500() {
        let (aws, replay) = aws_with([DONE, DONE, DONE].map(|body| Answer::xml(200, body)));
        let many: Vec<WorkerId> = (0..1_001).map(|i| WorkerId::new(format!("i-{i}"))).collect();
        assert!(aws.terminate(&many).await.is_empty());
        let sizes: Vec<_> = replay.bodies().iter().map(|body| body.matches("InstanceId.").count()).collect();
        assert_eq!(sizes, [500, 500, 1]);
    }

    #[tokio::test]
    async fn nobody_needs_no_call() {
        let (aws, replay) = aws_with([]);
        assert!(aws.terminate(&[]).await.is_empty());
        assert!(replay.bodies().is_empty());
    }
}
