//! What workers cost: `/api/v1/costs`, and the counters of a scrape. Labels are runners, accounts and markets, and the twenty
//! dearest projects of the month; never jobs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;
use url::form_urlencoded;

use runner_fleet_engine::ledger::{By, CostCounter, CostQuery, CostReport, Day, Label};
use runner_fleet_engine::{FleetSnapshot, RunnerName};

use crate::metrics::{Described, catalogue};

type Answering = Pin<Box<dyn Future<Output = Result<CostReport, String>> + Send>>;
/// Answers questions about costs, or says what is wrong with them.
pub type Costs = Arc<dyn Fn(CostQuery) -> Answering + Send + Sync>;

/// Questions are answered by this.
pub fn costs_from<F>(answer: impl Fn(CostQuery) -> F + Send + Sync + 'static) -> Costs
where
    F: Future<Output = Result<CostReport, String>> + Send + 'static,
{
    Arc::new(move |query| Box::pin(answer(query)))
}

/// The answer to what stands behind the `?`.
pub(super) async fn answer(costs: Costs, asked: Option<String>, now: Timestamp) -> Response {
    let query = match query(asked.as_deref().unwrap_or_default(), now) {
        Ok(query) => query,
        Err(why) => return refused(&why),
    };
    match costs(query).await {
        Ok(report) => Json(report).into_response(),
        Err(why) => refused(&why),
    }
}

/// What stands behind the `?`. Without days it is about this month so far.
fn query(asked: &str, now: Timestamp) -> Result<CostQuery, String> {
    let (mut from, mut to, mut by, mut runner) = (None, Day::at(now), By::default(), None);
    for (key, value) in form_urlencoded::parse(asked.as_bytes()) {
        let wrong = |what: &str| format!("{key} is no {what}");
        let day = || value.parse::<Date>().map(Day::on).map_err(|_| wrong("date like 2026-12-01"));
        match &*key {
            "from" => from = Some(day()?),
            "to" => to = day()?,
            "by" => by = value.parse().map_err(|_| wrong("project, runner, job, account, day or line"))?,
            "runner" => runner = Some(RunnerName::new(value)),
            _ => return Err("there is from, to, by and runner to ask with".to_owned()),
        }
    }
    let from = from.unwrap_or_else(|| Day::on(to.date().first_of_month()));
    Ok(CostQuery { from, to, by, runner })
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
}

/// Reads the snapshot when it is scraped.
#[derive(Debug)]
pub struct CostCollector {
    snapshot: watch::Receiver<Arc<FleetSnapshot>>,
}

impl CostCollector {
    /// Shows the snapshot that arrives here.
    pub fn new(snapshot: watch::Receiver<Arc<FleetSnapshot>>) -> Self {
        Self { snapshot }
    }
}

/// A counter per line, and how it is read.
type LineCounter = (&'static Described, fn(&CostCounter) -> f64);

const COUNTERS: [LineCounter; 4] = [
    (&catalogue::COST_USD, |c| c.usd),
    (&catalogue::COST_ON_DEMAND_USD, |c| c.on_demand_usd),
    (&catalogue::PAID_SECONDS, |c| c.seconds),
    (&catalogue::UNPRICED_SECONDS, |c| c.unpriced_seconds),
];

impl Collector for CostCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        for (counted, read) in COUNTERS {
            let mut family = counted.begin(&mut encoder)?;
            for counter in &snapshot.ledger.totals {
                let labels = [
                    ("runner", counter.line.runner.to_string()),
                    ("account", counter.line.account.as_str().to_owned()),
                    ("market", counter.line.market.to_string()),
                ];
                ConstCounter::new(read(counter)).encode(family.encode_family(&labels)?)?;
            }
        }
        let mut family = catalogue::PROJECT_COST_USD.begin(&mut encoder)?;
        for project in &snapshot.ledger.projects {
            let labels = [("project", project_name(&project.payer))];
            ConstGauge::new(project.cost.usd).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn project_name(payer: &Label) -> String {
    match payer {
        Label::Job { project: Some(project), .. } => project.to_string(),
        Label::Job { project: None, .. } => "unknown".to_owned(),
        Label::Rest => "rest".to_owned(),
    }
}
