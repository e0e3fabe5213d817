//! No call is waited for without an end.

use std::future::Future;
use std::time::Duration;

use runner_fleet_engine::Trouble;
use tokio::time::timeout;

/// What the call gave, or what kept it from giving anything within `limit`.
pub(super) async fn in_time<T, E>(limit: Duration, call: impl Future<Output = Result<T, E>>) -> Result<T, Trouble>
where
    E: Into<Trouble>,
{
    match timeout(limit, call).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(Trouble::late(limit)),
    }
}
