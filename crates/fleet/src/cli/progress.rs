//! Progress of what takes long and has no known end, on terminals only.

use indicatif::{ProgressBar, ProgressStyle};

use runner_fleet_engine::ProjectId;

/// Turns while its message changes.
pub(super) fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Shows how far the jobs of a past time are read: the project, which of how many it is, and how many of its jobs.
pub(super) fn jobs_read(bar: &ProgressBar) -> impl FnMut(ProjectId, (usize, usize), usize) + '_ {
    |project, (number, count), jobs| {
        bar.set_message(format!("project {project}, {number} of {count}: {jobs} jobs"));
        bar.tick();
    }
}
