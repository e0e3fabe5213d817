//! The files of single days: `costs/2026-12-01.json`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use runner_fleet_engine::ledger::{DAYS_MAX, Day, Ledger, Sums};

use super::super::state_file;

/// In the state directory.
const FOLDER: &str = "costs";
/// Of this form.
const VERSION: u32 = 1;
/// A day has a few hundred lines; a file beyond that is none of ours.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Kept {
    sums: Sums,
}

#[derive(Serialize)]
struct Keeping<'a> {
    version: u32,
    sums: &'a Sums,
}

/// The folder, and what was written into it last.
#[derive(Debug)]
pub(super) struct Days {
    folder: PathBuf,
    written: BTreeMap<Day, Sums>,
}

impl Days {
    pub(super) fn of(state_dir: &Path) -> Self {
        Self { folder: state_dir.join(FOLDER), written: BTreeMap::new() }
    }

    /// The last day that has a file.
    pub(super) fn newest(&self) -> Option<Day> {
        self.there().into_iter().max()
    }

    /// Writes the days that have changed and are not today, and lets the oldest go.
    pub(super) fn keep(&mut self, ledger: &Ledger) -> io::Result<()> {
        let Some((today, _)) = ledger.days().last_key_value() else { return Ok(()) };
        self.written.retain(|day, _| ledger.days().contains_key(day));
        for (day, sums) in ledger.days().iter().filter(|(day, _)| *day < today) {
            if self.written.get(day) == Some(sums) {
                continue;
            }
            let bytes = serde_json::to_vec(&Keeping { version: VERSION, sums })?;
            state_file::replace(&self.folder, &name(*day), &bytes)?;
            if !self.written.contains_key(day) {
                self.drop_before(today.before(DAYS_MAX))?;
            }
            self.written.insert(*day, sums.clone());
        }
        Ok(())
    }

    /// A day's sums; none where it has no file.
    ///
    /// # Errors
    /// It has one, and nobody can read it.
    pub(super) fn read(&self, day: Day) -> io::Result<Option<Sums>> {
        let path = self.folder.join(name(day));
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(file) if file.len() > BYTES_MAX => return Err(io::Error::other("it is too large")),
            Ok(_) => {}
        }
        let Kept { sums } = state_file::parse(&std::fs::read(&path)?, VERSION).map_err(io::Error::other)?;
        Ok(Some(sums))
    }

    fn drop_before(&self, first: Day) -> io::Result<()> {
        self.there()
            .into_iter()
            .filter(|day| *day < first)
            .try_for_each(|day| std::fs::remove_file(self.folder.join(name(day))))
    }

    fn there(&self) -> Vec<Day> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let day = |entry: std::fs::DirEntry| {
            let name = entry.file_name();
            let date = name.to_str()?.strip_suffix(".json")?.parse().ok()?;
            Some(Day::on(date))
        };
        entries.filter_map(Result::ok).filter_map(day).collect()
    }
}

fn name(day: Day) -> String {
    format!("{day}.json")
}
