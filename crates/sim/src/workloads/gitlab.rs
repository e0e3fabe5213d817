//! GitLab's own job JSON: the array that `GET /projects/:id/jobs` answers with, or several pages of it in one array.
//!
//! REST has no `queued_at`: it is `started_at` less `queued_duration`. Jobs that never ran have neither; how long they
//! would have run nobody knows, so they are left out, and counted. Source: GitLab docs, "Jobs API";
//! `app/models/concerns/ci/has_status.rb`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::csv::{duration, time};
use super::defect::Defects;
use super::{Workload, WorkloadJob};

/// What is read of a job, in GitLab's names; `record` writes exactly this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiJob {
    /// GitLab's id.
    pub id: u64,
    /// `success`, `failed`, `canceled`, …
    pub status: String,
    /// When the pipeline was created.
    pub created_at: String,
    /// When a runner began with it.
    #[serde(default)]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<String>,
    /// Seconds from start to end.
    #[serde(default)]
    pub duration: Option<f64>,
    /// Seconds from pending to start.
    #[serde(default)]
    pub queued_duration: Option<f64>,
    /// The tags that it asks for.
    pub tag_list: BTreeSet<String>,
    /// Says the project.
    pub pipeline: ApiPipeline,
}

/// The part of a job's pipeline that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiPipeline {
    /// The project's id.
    pub project_id: u64,
}

/// A job that can be replayed, or the reason why it never ran.
#[derive(Deserialize)]
#[serde(try_from = "ApiJob")]
enum Row {
    Ran(u64, Box<WorkloadJob>),
    LeftOut(u64, String),
}

impl TryFrom<ApiJob> for Row {
    type Error = String;

    fn try_from(job: ApiJob) -> Result<Self, String> {
        let id = job.id;
        read(job).map_err(|why| format!("job {id}: {why}"))
    }
}

fn read(job: ApiJob) -> Result<Row, String> {
    let ApiJob { id, status, created_at, started_at, finished_at, duration: took, queued_duration, tag_list, pipeline } =
        job;
    time("created_at", &created_at)?;
    let Some(started_at) = started_at else {
        return Ok(Row::LeftOut(id, format!("never started ({status})")));
    };
    let started_at = time("started_at", &started_at)?;
    let Some(finished_at) = finished_at else {
        return Ok(Row::LeftOut(id, format!("not finished ({status})")));
    };
    let finished_at = time("finished_at", &finished_at)?;
    let takes = match took {
        Some(seconds) => duration("duration", seconds)?,
        None => finished_at.duration_since(started_at).try_into().map_err(|_| "finished_at lies before started_at")?,
    };
    let queued = match queued_duration {
        Some(seconds) => duration("queued_duration", seconds)?,
        None => return Err("queued_duration is missing, so nobody knows when it was queued".into()),
    };
    let queued_at: Timestamp =
        started_at.checked_sub(queued).map_err(|_| "queued_duration reaches before the beginning of time")?;
    let project = pipeline.project_id.to_string();
    Ok(Row::Ran(id, Box::new(WorkloadJob { queued_at, takes, tags: tag_list, project })))
}

/// The line on which the defective job ends: the reader stands behind it, maybe on the next one.
fn line_of(bytes: &[u8], error: &serde_json::Error) -> u64 {
    let before: usize =
        bytes.split(|byte| *byte == b'\n').take(error.line().saturating_sub(1)).map(|line| line.len() + 1).sum();
    let mut read = bytes.get(..before + error.column()).unwrap_or(bytes);
    while let Some((b' ' | b'\t' | b'\r' | b'\n' | b',' | b']', rest)) = read.split_last() {
        read = rest;
    }
    1 + read.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Reads the whole array; the first defect ends it, because nobody knows where the next job begins.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Workload, Defects> {
    let rows: Vec<Row> = serde_json::from_slice(bytes).map_err(|error| {
        let said = error.to_string();
        let why = said.rsplit_once(" at line ").map_or(said.as_str(), |(why, _)| why).to_owned();
        Defects::at(name, line_of(bytes, &error), why)
    })?;
    let mut jobs = BTreeMap::new();
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    let mut repeated = 0;
    let mut ids = BTreeSet::new();
    for row in rows {
        let (Row::Ran(id, _) | Row::LeftOut(id, _)) = &row;
        if !ids.insert(*id) {
            // Pages overlap when new jobs arrive between two requests.
            repeated += 1;
            continue;
        }
        match row {
            Row::Ran(id, job) => {
                jobs.insert((job.queued_at, id), *job);
            }
            Row::LeftOut(_, why) => *left_out.entry(why).or_default() += 1,
        }
    }
    let mut notes: Vec<String> =
        left_out.into_iter().map(|(why, count)| format!("{count} jobs left out: {why}")).collect();
    if repeated > 0 {
        notes.push(format!("{repeated} jobs left out: listed twice"));
    }
    if jobs.is_empty() {
        let said = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
        return Err(Defects::of_file(name, format!("holds no job that ran{said}")));
    }
    Ok(Workload { name: name.to_owned(), jobs: jobs.into_values().collect(), notes })
}
