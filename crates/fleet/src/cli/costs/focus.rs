//! The ledger's lines as CSV in the columns of FOCUS 1.x. Source: <https://focus.finops.org/focus-specification/>, "Columns".
//! What is ours alone has names with `x_`, as the specification wants.

use std::io::Write;

use serde::Serialize;

use runner_fleet_engine::Market;
use runner_fleet_engine::ledger::{Account, CostReport, CostRow, Day, Label};

use super::super::CliError;

/// One line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Charge {
    billed_cost: f64,
    effective_cost: f64,
    /// What it would cost at list price; empty where that is not known.
    list_cost: Option<f64>,
    billing_currency: &'static str,
    billing_period_start: String,
    billing_period_end: String,
    charge_period_start: String,
    charge_period_end: String,
    charge_category: &'static str,
    charge_class: Option<&'static str>,
    charge_description: String,
    charge_frequency: &'static str,
    consumed_quantity: f64,
    consumed_unit: &'static str,
    pricing_category: &'static str,
    provider_name: &'static str,
    publisher_name: &'static str,
    invoice_issuer_name: &'static str,
    service_category: &'static str,
    service_name: &'static str,
    #[serde(rename = "x_Runner")]
    runner: String,
    #[serde(rename = "x_Account")]
    account: &'static str,
    #[serde(rename = "x_ProjectId")]
    project: Option<u64>,
    #[serde(rename = "x_JobName")]
    job: Option<String>,
    /// Hours whose price is not known, and which the costs lack.
    #[serde(rename = "x_UnpricedHours")]
    unpriced_hours: f64,
    /// With those at the most that they can cost; empty where that is not known.
    #[serde(rename = "x_BilledCostAtMost")]
    at_most: Option<f64>,
}

/// Writes lines.
pub(super) struct Writer<'w> {
    csv: csv::Writer<&'w mut dyn Write>,
}

impl<'w> Writer<'w> {
    pub(super) fn begin(out: &'w mut dyn Write) -> Result<Self, CliError> {
        Ok(Self { csv: csv::Writer::from_writer(out) })
    }

    pub(super) fn write(&mut self, report: &CostReport) -> Result<(), CliError> {
        for charge in report.rows.iter().filter_map(charge) {
            self.csv.serialize(charge).map_err(|error| CliError::failed("write CSV", &error))?;
        }
        Ok(())
    }

    pub(super) fn end(mut self) -> Result<(), CliError> {
        Ok(self.csv.flush()?)
    }
}

fn charge(row: &CostRow) -> Option<Charge> {
    let (day, account) = (row.key.day?, row.key.account?);
    let (service_category, service_name) = match account {
        Account::Disks => ("Storage", "Amazon Elastic Block Store"),
        Account::Addresses => ("Networking", "Amazon Virtual Private Cloud"),
        Account::Jobs | Account::Boot | Account::Idle | Account::Drain | Account::Unknown | Account::Before => {
            ("Compute", "Amazon Elastic Compute Cloud")
        }
    };
    let is_spot = row.key.market == Some(Market::Spot) && account.is_instance_time();
    let (project, job) = match &row.key.payer {
        Some(Label::Job { project, name }) => {
            (project.map(|project| project.0), name.as_ref().map(|name| harmless(name.as_str())))
        }
        Some(Label::Rest) => (None, Some("(the rest)".to_owned())),
        None => (None, None),
    };
    let month = Day::on(day.date().first_of_month());
    let next_month = Day::on(day.date().last_of_month()).after(1);
    let cost = &row.cost;
    Some(Charge {
        billed_cost: cost.usd,
        effective_cost: cost.usd,
        list_cost: cost.below_on_demand.map(|_| cost.on_demand_usd),
        billing_currency: "USD",
        billing_period_start: start(month),
        billing_period_end: start(next_month),
        charge_period_start: start(day),
        charge_period_end: start(day.after(1)),
        charge_category: "Usage",
        charge_class: None,
        charge_description: format!("runner-fleet workers: {}", account.as_str()),
        charge_frequency: "Usage-Based",
        consumed_quantity: cost.hours,
        consumed_unit: "Hours",
        pricing_category: if is_spot { "Dynamic" } else { "Standard" },
        provider_name: "AWS",
        publisher_name: "AWS",
        invoice_issuer_name: "AWS",
        service_category,
        service_name,
        runner: row.key.runner.as_ref().map(|runner| harmless(runner.as_str())).unwrap_or_default(),
        account: account.as_str(),
        project,
        job,
        unpriced_hours: cost.unpriced_hours,
        at_most: cost.usd_at_most,
    })
}

fn start(day: Day) -> String {
    format!("{:.0}", day.begins())
}

/// A spreadsheet takes what begins like this for a formula, and job names are their authors'. Source: OWASP, "CSV injection".
fn harmless(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}
