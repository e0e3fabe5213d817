//! No step waits longer than a person would.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

/// For one question. The adapters have limits of their own, which are made for a service that has time.
const STEP_MAX: Duration = Duration::from_secs(25);

/// The answer, or a sentence that says why there is none.
pub(super) async fn within<T, E: Error>(question: impl Future<Output = Result<T, E>>) -> Result<Result<T, E>, String> {
    within_time(STEP_MAX, question).await
}

/// The same with another limit, for a question that is many.
pub(super) async fn within_time<T>(limit: Duration, question: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(limit, question).await.map_err(|_| format!("no answer within {} s", limit.as_secs()))
}

/// An error and its causes as one sentence; what a cause merely repeats is said once.
pub(super) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}
