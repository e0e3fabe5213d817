//! The tables of the file: what is written, and how it is read.

use std::collections::BTreeMap;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use runner_fleet_engine::RunnerName;

use super::super::event::PastEvent;
use super::super::past::{Batch, Kept};
use super::super::ring::Rows;
use super::super::row::{Row, WIDTH};
use super::super::sample::Scope;

/// Of the tables below. Another number means that they have changed: the file is set aside then.
pub(super) const VERSION: u32 = 1;
/// Under the key "version".
pub(super) const SCHEMA: TableDefinition<'_, &str, u32> = TableDefinition::new("schema");
/// The runners' numbers in the rows; 0 stands for all of them together.
const NAMES: TableDefinition<'_, u16, &str> = TableDefinition::new("names");
/// By the second in which the span begins.
const MINUTES: SpanTable = TableDefinition::new("minutes");
const QUARTERS: SpanTable = TableDefinition::new("quarters");
/// By id, as JSON.
const EVENTS: TableDefinition<'_, u64, &str> = TableDefinition::new("events");

type SpanTable = TableDefinition<'static, i64, Vec<(u16, [f32; WIDTH])>>;

/// Which version wrote it; a new file is of ours.
pub(super) fn prepare(database: &Database) -> Result<u32, redb::Error> {
    let transaction = database.begin_write()?;
    let is_new = transaction.list_tables()?.next().is_none();
    let version = {
        let mut schema = transaction.open_table(SCHEMA)?;
        if is_new {
            schema.insert("version", VERSION)?;
            transaction.open_table(NAMES)?;
            transaction.open_table(MINUTES)?;
            transaction.open_table(QUARTERS)?;
            transaction.open_table(EVENTS)?;
        }
        schema.get("version")?.map_or(0, |version| version.value())
    };
    transaction.commit()?;
    Ok(version)
}

/// Why a file that is open was not read.
pub(super) enum Unread {
    Database(redb::Error),
    Nonsense(String),
}

impl<E: Into<redb::Error>> From<E> for Unread {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

pub(super) fn read(database: &Database) -> Result<(Kept, Names), Unread> {
    let transaction = database.begin_read()?;
    let mut names = Names::default();
    for entry in transaction.open_table(NAMES)?.iter()? {
        let (number, name) = entry?;
        names.learn(number.value(), RunnerName::new(name.value()));
    }
    let spans = |definition: SpanTable| -> Result<Vec<(i64, Rows)>, Unread> {
        let mut spans = Vec::new();
        for entry in transaction.open_table(definition)?.iter()? {
            let (at, rows) = entry?;
            let named = |(number, row): &(u16, [f32; WIDTH])| Some((names.name(*number)?, Row::of_array(row)));
            spans.push((at.value(), rows.value().iter().filter_map(named).collect()));
        }
        Ok(spans)
    };
    let (minutes, quarters) = (spans(MINUTES)?, spans(QUARTERS)?);
    let mut events = Vec::new();
    for entry in transaction.open_table(EVENTS)?.iter()? {
        let (_, event) = entry?;
        let event: PastEvent =
            serde_json::from_str(event.value()).map_err(|error| Unread::Nonsense(error.to_string()))?;
        events.push(event);
    }
    Ok((Kept { minutes, quarters, events }, names))
}

pub(super) fn write(database: &Database, names: &mut Names, batch: &Batch) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut named = transaction.open_table(NAMES)?;
        for (definition, spans, oldest) in
            [(MINUTES, &batch.new.minutes, batch.oldest_minute), (QUARTERS, &batch.new.quarters, batch.oldest_quarter)]
        {
            let mut table = transaction.open_table(definition)?;
            for (at, rows) in spans {
                let mut numbered = Vec::new();
                for (scope, row) in rows {
                    let Some((number, is_new)) = names.number(scope) else { continue };
                    if let (Some(name), true) = (scope, is_new) {
                        named.insert(number, name.as_str())?;
                    }
                    numbered.push((number, row.to_array()));
                }
                table.insert(at, numbered)?;
            }
            if let Some(oldest) = oldest {
                table.retain_in(..oldest, |_, _| false)?;
            }
        }
        let mut events = transaction.open_table(EVENTS)?;
        for event in &batch.new.events {
            // What cannot be written as JSON does not exist: numbers are finite, names are text.
            let Ok(text) = serde_json::to_string(event) else { continue };
            events.insert(event.id, text.as_str())?;
        }
        if let Some(oldest) = batch.oldest_event {
            events.retain_in(..oldest, |_, _| false)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// The runners' numbers.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<RunnerName, u16>);

impl Names {
    fn learn(&mut self, number: u16, name: RunnerName) {
        self.0.insert(name, number);
    }

    /// Whose rows have this number; `None`: nobody's.
    fn name(&self, number: u16) -> Option<Scope> {
        if number == 0 {
            return Some(None);
        }
        self.0.iter().find(|(_, known)| **known == number).map(|(name, _)| Some(name.clone()))
    }

    /// The number of this scope, and whether it was given just now; `None`: all are given.
    fn number(&mut self, scope: &Scope) -> Option<(u16, bool)> {
        let Some(name) = scope else { return Some((0, false)) };
        if let Some(number) = self.0.get(name) {
            return Some((*number, false));
        }
        let number = self.0.values().max().copied().unwrap_or_default().checked_add(1)?;
        self.0.insert(name.clone(), number);
        Some((number, true))
    }
}
