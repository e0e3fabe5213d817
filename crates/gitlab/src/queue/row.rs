//! One page of `GET /projects/:id/jobs`, read. Pure.
//!
//! A job counts when it is `pending` **and** has no runner: under two-phase commit a claimed job stays pending until it
//! is acknowledged. Its age is `queued_duration`; `created_at` is the pipeline's and says nothing.
//! Source: GitLab docs, "Jobs API"; "Two-phase job commit".

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::protected::Ref;
use super::shown_at::project_path;
use runner_fleet_engine::{JobId, PendingJob, ProjectId, ProjectPath};

/// Longest believable wait; GitLab itself drops jobs that have been pending for a day.
const QUEUED_SECONDS_MAX: f64 = 30.0 * 86_400.0;

/// A row as GitLab sends it, as far as we need it.
#[derive(Deserialize)]
pub(super) struct JobRow {
    id: u64,
    status: String,
    tag_list: Vec<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    web_url: Option<String>,
    #[serde(default)]
    r#ref: Option<String>,
    #[serde(default)]
    tag: Option<bool>,
    #[serde(default)]
    queued_duration: Option<f64>,
    #[serde(default)]
    runner: Option<IgnoredAny>,
    #[serde(default)]
    pipeline: Option<PipelineRow>,
}

#[derive(Deserialize)]
struct PipelineRow {
    #[serde(default)]
    source: Option<String>,
}

/// A waiting job and what its protection is looked up by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting {
    pub(super) job: PendingJob,
    pub(super) on: Ref,
}

/// When a request was sent, when its answer was there, and of which server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) at: Timestamp,
    pub(super) answered_at: Timestamp,
    /// The configured address; without it no path is known.
    pub(super) base: Option<&'a Url>,
}

/// The jobs of these rows that wait for a runner.
pub(super) fn waiting(rows: Vec<JobRow>, project: ProjectId, asked: Asked<'_>) -> BTreeMap<JobId, Waiting> {
    let free = rows.into_iter().filter(|row| row.status == "pending" && row.runner.is_none());
    // One text for all jobs of the project.
    let mut path: Option<ProjectPath> = None;
    let mut read = |row| {
        let mut waiting = read(row, project, asked);
        if path.is_some() && path == waiting.job.project_path {
            waiting.job.project_path.clone_from(&path);
        }
        path.clone_from(&waiting.job.project_path);
        (waiting.job.id, waiting)
    };
    free.map(&mut read).collect()
}

fn read(row: JobRow, project: ProjectId, asked: Asked<'_>) -> Waiting {
    let id = JobId(row.id);
    let on = Ref {
        name: row.r#ref.unwrap_or_default(),
        tag: row.tag.unwrap_or(false),
        merge_request: row.pipeline.and_then(|p| p.source).as_deref() == Some("merge_request_event"),
    };
    let job = PendingJob {
        id,
        project,
        project_path: row.web_url.zip(asked.base).and_then(|(url, base)| project_path(&url, id, base)),
        name: row.name.unwrap_or_default(),
        tags: row.tag_list.into_iter().collect(),
        protected: None,
        offered_to: None,
        queued_at: queued_at(row.queued_duration, asked.answered_at),
        seen_at: asked.at,
    };
    Waiting { job, on }
}

fn queued_at(queued_duration: Option<f64>, answered_at: Timestamp) -> Timestamp {
    let seconds = queued_duration.unwrap_or(0.0).clamp(0.0, QUEUED_SECONDS_MAX);
    answered_at.checked_sub(Duration::from_secs_f64(seconds)).unwrap_or(answered_at)
}

#[cfg(test)]
mod tests {
    use super::super::super::answer;
    use super::*;
    use proptest::prelude::*;

    fn asked() -> Asked<'static> {
        let at: Timestamp = "2026-08-22T10:00:00Z".parse().unwrap();
        Asked { at, answered_at: at + Duration::from_secs(1), base: None }
    }

    fn ids(body: &str) -> Vec<u64> {
        let rows = answer::json::<Vec<JobRow>>(body.as_bytes()).unwrap();
        waiting(rows, ProjectId(1), asked()).into_keys().map(|id| id.0).collect()
    }

    #[test]
    fn only_unclaimed_pending_jobs_count() {
        let body = r#"[
            {"id":9,"status":"pending","tag_list":[],"runner":null},
            {"id":8,"status":"pending","tag_list":[]},
            {"id":7,"status":"pending","tag_list":[],"runner":{"id":1}},
            {"id":6,"status":"running","tag_list":[],"runner":{"id":1}},
            {"id":5,"status":"waiting_for_runner_ack","tag_list":[],"runner":null}
        ]"#;
        assert_eq!(ids(body), [8, 9]);
    }

    #[test]
    fn age_is_counted_back_from_the_answer_whatever_the_number() {
        let answered = asked().answered_at;
        for (duration, age) in [(Some(12.5), 12.5), (None, 0.0), (Some(-7.0), 0.0), (Some(1e300), QUEUED_SECONDS_MAX)] {
            let age_read = answered.duration_since(queued_at(duration, answered)).as_secs_f64();
            assert!((age_read - age).abs() < 1e-6, "{duration:?}: {age_read}");
        }
    }

    #[test]
    fn what_matching_needs_is_not_guessed() {
        for body in [r#"[{"id":1,"status":"pending"}]"#, r#"[{"id":1,"tag_list":[]}]"#, r#"{"id":1}"#, "[", ""] {
            assert!(answer::json::<Vec<JobRow>>(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(rows) = answer::json::<Vec<JobRow>>(&body) {
                waiting(rows, ProjectId(1), asked());
            }
        }

        #[test]
        fn no_number_panics(id in any::<u64>(), duration in any::<f64>(), at in -377_705_023_201_i64..253_402_207_200) {
            let at = Timestamp::from_second(at).unwrap();
            prop_assert!(queued_at(Some(duration), at) <= at);
            let body = format!(r#"[{{"id":{id},"status":"pending","tag_list":["a"],"queued_duration":{duration:?}}}]"#);
            if let Ok(rows) = answer::json::<Vec<JobRow>>(body.as_bytes()) {
                waiting(rows, ProjectId(1), Asked { at, answered_at: at, base: None });
            }
        }
    }
}
