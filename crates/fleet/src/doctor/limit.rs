//! No step waits longer than a person would.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use crate::in_time::ended_in_time;

/// For one question. The adapters have limits of their own, which are made for a service that has time.
const STEP_MAX: Duration = Duration::from_secs(25);

/// The answer, or a sentence that says why there is none.
pub(super) async fn within<T, E: Error>(question: impl Future<Output = Result<T, E>>) -> Result<Result<T, E>, String> {
    within_time(STEP_MAX, question).await
}

/// The same with another limit, for a question that is many.
pub(super) async fn within_time<T>(limit: Duration, question: impl Future<Output = T>) -> Result<T, String> {
    ended_in_time(limit, question).await.map_err(|late| late.text)
}

pub(super) use runner_fleet_engine::failure::chain as told;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_question_without_an_answer_ends() {
        let never = std::future::pending::<()>();
        let late = within_time(Duration::from_millis(10), never).await;
        assert_eq!(late, Err("no answer within 0 s".to_owned()));
        assert_eq!(within_time(STEP_MAX, async { 7 }).await, Ok(7));
    }
}
