//! `queued_at,duration_s,tags,project`: a line for each job, tags separated by blanks.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::defect::{Defects, utf8};
use super::{DURATION_MAX, Workload, WorkloadJob};

const HEADER: [&str; 4] = ["queued_at", "duration_s", "tags", "project"];

/// Reads the whole file, and tells everything that is wrong with it.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Workload, Defects> {
    let text = utf8(name, bytes)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let mut defects = Defects::in_file(name);
    match reader.headers() {
        Ok(header) if header.iter().eq(HEADER) => {}
        Ok(header) => {
            let found: Vec<&str> = header.iter().collect();
            let why = format!("the first line must be \"{}\", and is \"{}\"", HEADER.join(","), found.join(","));
            return Err(Defects::at(name, 1, why));
        }
        Err(error) => return Err(Defects::at(name, 1, error.to_string())),
    }
    let mut jobs = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                match job(&record) {
                    Ok(job) => jobs.push(job),
                    Err(why) => defects.add(line, why),
                }
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                defects.add(line, error.to_string());
            }
        }
    }
    let defects = if jobs.is_empty() { defects.or(()).err().unwrap_or_else(|| no_jobs(name)) } else { defects };
    defects.or(Workload { name: name.to_owned(), jobs, notes: Vec::new() })
}

fn no_jobs(name: &str) -> Defects {
    Defects::of_file(name, "holds no job")
}

fn job(record: &csv::StringRecord) -> Result<WorkloadJob, String> {
    let fields: Vec<&str> = record.iter().collect();
    let [queued_at, duration, tags, project] = fields.as_slice() else {
        return Err(format!("has {} fields instead of {}: {}", fields.len(), HEADER.len(), HEADER.join(",")));
    };
    Ok(WorkloadJob {
        queued_at: time("queued_at", queued_at)?,
        takes: seconds("duration_s", duration)?,
        tags: tags.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>(),
        project: match project.trim() {
            "" => return Err("project is empty; write an id or a path".into()),
            project => project.to_owned(),
        },
    })
}

/// A time with its offset.
pub(super) fn time(key: &str, text: &str) -> Result<Timestamp, String> {
    let said = || format!("{key} \"{text}\" is no time; write it with its offset, as 2026-03-02T08:00:00Z");
    text.trim().parse().map_err(|_| said())
}

/// A number of seconds, with or without a fraction.
pub(super) fn seconds(key: &str, text: &str) -> Result<Duration, String> {
    let number: f64 = text.trim().parse().map_err(|_| format!("{key} \"{text}\" is no number of seconds"))?;
    duration(key, number)
}

/// A number of seconds that a job can take.
pub(super) fn duration(key: &str, number: f64) -> Result<Duration, String> {
    match Duration::try_from_secs_f64(number) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        Ok(_) => Err(format!("{key} {number} is longer than {} days", DURATION_MAX.as_secs() / 86_400)),
        Err(_) => Err(format!("{key} {number} is no length of time")),
    }
}
