//! `budget`: what a runner's workers may cost.

use super::key::{Key, Kind, words};
use super::node::{Item, Node, Table};
use super::problems::Report;
use super::reader::Reader;
use super::values;
use runner_fleet_engine::Budget;
use runner_fleet_engine::ledger::Spending;

/// The keys of the table.
pub(crate) const KEYS: &[Key] =
    &[Key::required("usd", Kind::Number(0, USD_MAX)), Key::optional("per", Kind::Word(&[&words(&PERIODS)]))];

const PERIODS: [(&str, Spending); 2] = [("day", Spending::Day), ("month", Spending::Month)];

/// More than any fleet of ours costs in a month, and far inside of what the books can hold.
const USD_MAX: u32 = 1_000_000;

/// Reads the table.
pub(crate) fn read(table: &Table, report: &mut Report) -> Option<Budget> {
    let reader = Reader::new(table, KEYS);
    let usd = reader.required("usd", "usd = 50.0", report, usd);
    let per = reader.or("per", Spending::Month, report, |node| values::word(node, &PERIODS));
    reader.finish(report);
    Some(Budget { usd: usd?, per: per? })
}

fn usd(node: &Node) -> Result<f64, String> {
    let number = match node.item {
        Item::Float(number, _) => Some(number),
        Item::Integer(number) => i32::try_from(number).ok().map(f64::from),
        Item::String(_) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => None,
    };
    number.filter(|number| *number > 0.0 && *number <= f64::from(USD_MAX)).ok_or_else(|| {
        format!(
            "{} is no budget; write USD above 0 and up to {USD_MAX}, like 50.0, or leave the table out",
            node.shown()
        )
    })
}
