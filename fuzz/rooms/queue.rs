//! A page of jobs, read as the queue reads it.

use jiff::Timestamp;

use crate::engine::{PendingJob, ProjectId};

#[path = "../../src/gitlab/queue/row.rs"]
mod row;

/// The waiting jobs of a page; none where it is no page.
pub fn page(body: &[u8], answered_at: Timestamp) -> Option<Vec<PendingJob>> {
    let rows: Vec<row::JobRow> = serde_json::from_slice(body).ok()?;
    let asked = row::Asked { at: answered_at, answered_at };
    Some(row::waiting(rows, ProjectId(1), asked).into_values().map(|waiting| waiting.job).collect())
}
