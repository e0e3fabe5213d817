//! No call is waited for without an end.

use std::future::Future;
use std::time::Duration;

use runner_fleet_engine::Failure;
use tokio::time::timeout;

/// What the call gave, or what kept it from giving anything within `limit`.
pub(crate) async fn in_time<T, E>(limit: Duration, call: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
where
    E: Into<Failure>,
{
    ended_in_time(limit, call).await?.map_err(Into::into)
}

/// What came of it within `limit`, failures too.
pub(crate) async fn ended_in_time<T>(limit: Duration, wait: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(limit, wait).await.map_err(|_| Failure::late(limit))
}
