//! What workers cost: `/api/v1/costs`, and the counters of a scrape. Labels are runners, accounts and markets, and the twenty
//! dearest projects of the month; never jobs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use serde::Deserialize;
use tokio::sync::watch;

use runner_fleet_engine::ledger::{By, CostCounter, CostQuery, CostReport, Day, Label};
use runner_fleet_engine::{FleetSnapshot, RunnerName};

use super::site::Site;
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

/// What may stand behind the `?`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: Option<Date>,
    to: Option<Date>,
    #[serde(default)]
    by: By,
    runner: Option<RunnerName>,
}

impl Asked {
    /// Without days it is about this month so far.
    fn query(self, now: Timestamp) -> CostQuery {
        let to = self.to.map_or(Day::at(now), Day::on);
        let from = self.from.map_or_else(|| Day::on(to.date().first_of_month()), Day::on);
        CostQuery { from, to, by: self.by, runner: self.runner }
    }
}

pub(super) async fn costs(State(site): State<Site>, asked: Result<Query<Asked>, impl fmt::Display>) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(error) => return refused(&error.to_string()),
    };
    match (site.costs)(asked.query((site.now)())).await {
        Ok(report) => Json(report).into_response(),
        Err(why) => refused(&why),
    }
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
