//! What is replayed: the jobs of some days, from a file or from a generator.
//!
//! Three kinds of file, told apart by their ending: `.csv`, GitLab's own job JSON (`.json`), and a generator's
//! description (`.toml`). A file with any defect is refused, with line and reason. What a good file holds that cannot be
//! replayed (GitLab lists jobs that never ran) is left out and counted in [`Workload::notes`], never silently.

mod bundled;
mod csv;
pub mod defect;
mod generator;
pub mod gitlab;
mod spec;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

pub use bundled::BUNDLED;
pub use defect::{Defect, Defects};

/// Larger files are refused: half a million jobs of GitLab's JSON.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// The longest run of a job; GitLab's own longest time-out is a month.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(31 * 86_400);

/// Jobs to be replayed, in the order in which they were queued.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The file's name, or the bundled workload's.
    pub name: String,
    /// At least one.
    pub jobs: Vec<WorkloadJob>,
    /// What was left out, and why; for people.
    pub notes: Vec<String>,
}

/// One job of the past, or of a generator.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadJob {
    /// When it became pending.
    pub queued_at: Timestamp,
    /// How long it ran on its worker.
    pub takes: Duration,
    /// The tags that it asks for.
    pub tags: BTreeSet<String>,
    /// Its project: an id or a path.
    pub project: String,
}

impl Workload {
    /// Reads a workload: a bundled one by its name, else a file by its path.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, each with its line.
    pub fn load(name_or_path: &str) -> Result<Self, Defects> {
        if let Some((name, text)) = BUNDLED.iter().find(|(name, _)| *name == name_or_path) {
            return spec::Spec::parse(name, text).map(|spec| generator::generate(name, &spec));
        }
        let path = Path::new(name_or_path);
        let name = path.file_name().map_or_else(|| name_or_path.to_owned(), |name| name.to_string_lossy().into_owned());
        let parse = match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => csv::parse,
            Some("json") => gitlab::parse,
            Some("toml") => |name: &str, bytes: &[u8]| {
                let text = defect::utf8(name, bytes)?;
                spec::Spec::parse(name, text).map(|spec| generator::generate(name, &spec))
            },
            Some(_) | None => {
                let bundled: Vec<&str> = BUNDLED.iter().map(|(name, _)| *name).collect();
                let why = format!(
                    "not a workload: name a file that ends in .csv, .json or .toml, or a bundled one ({})",
                    bundled.join(", ")
                );
                return Err(Defects::of_file(name_or_path, why));
            }
        };
        let size = std::fs::metadata(path).map_err(|error| Defects::of_file(name_or_path, error.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(Defects::of_file(name_or_path, format!("has {size} bytes; at most {FILE_BYTES_MAX} are read")));
        }
        let bytes = std::fs::read(path).map_err(|error| Defects::of_file(name_or_path, error.to_string()))?;
        let mut workload = parse(&name, &bytes)?;
        workload.jobs.sort_by_key(|job| job.queued_at);
        Ok(workload)
    }

    /// Only the jobs that were queued from `from` (included) to `until` (excluded).
    #[must_use]
    pub fn between(mut self, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let before = self.jobs.len();
        self.jobs
            .retain(|job| from.is_none_or(|from| job.queued_at >= from) && until.is_none_or(|end| job.queued_at < end));
        if self.jobs.len() < before {
            self.notes.push(format!("{} jobs lie outside --from and --to", before - self.jobs.len()));
        }
        self
    }

    /// Every tag that any job asks for.
    pub fn tags(&self) -> BTreeSet<String> {
        self.jobs.iter().flat_map(|job| &job.tags).cloned().collect()
    }

    /// When the first and the last job were queued; none for an empty one.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.jobs.first()?.queued_at, self.jobs.last()?.queued_at))
    }
}
