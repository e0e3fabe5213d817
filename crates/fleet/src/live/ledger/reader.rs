//! Questions about costs, answered from the ledger of now and the files of days that are over.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tracing::warn;

use crate::control::Answer;
use runner_fleet_engine::ledger::{CostQuery, CostReport, Day, Ledger, Sums};

use super::days::Days;

/// See the module. Cloned freely.
#[derive(Clone, Debug)]
pub struct CostsReader {
    state_dir: PathBuf,
    ledger: watch::Receiver<Arc<Ledger>>,
}

impl CostsReader {
    /// Reads this ledger, and the days that lie in the state directory.
    pub fn new(state_dir: PathBuf, ledger: watch::Receiver<Arc<Ledger>>) -> Self {
        Self { state_dir, ledger }
    }

    /// The answer.
    ///
    /// # Errors
    /// The question makes no sense: why.
    pub async fn answer(self, query: CostQuery) -> Result<CostReport, String> {
        query.check().map_err(|error| error.to_string())?;
        let ledger = Arc::clone(&self.ledger.borrow());
        let answering = tokio::task::spawn_blocking(move || {
            let (days, unreadable) = days_of(&query, &ledger, &Days::of(&self.state_dir));
            query.answer(days.iter().map(|(day, sums)| (*day, sums)), &ledger, unreadable)
        });
        answering.await.map_err(|error| error.to_string())
    }

    /// Answers an operator, whenever that is done.
    pub(in crate::live) fn reply(&self, query: CostQuery, reply: oneshot::Sender<Answer>) {
        let reader = self.clone();
        tokio::spawn(async move {
            let answer = match reader.answer(query).await {
                Ok(report) => Answer::Costs { report: Box::new(report) },
                Err(why) => Answer::refused(why),
            };
            // The operator may have gone: then nobody needs the answer.
            let _ = reply.send(answer);
        });
    }
}

/// The days that the question is about, and those of them that cannot be read.
fn days_of(query: &CostQuery, ledger: &Ledger, files: &Days) -> (Vec<(Day, Sums)>, Vec<Day>) {
    let (mut days, mut unreadable) = (Vec::new(), Vec::new());
    let mut day = query.from;
    while day <= query.to {
        match ledger.days().get(&day).map_or_else(|| files.read(day), |sums| Ok(Some(sums.clone()))) {
            Ok(sums) => days.extend(sums.map(|sums| (day, sums))),
            Err(error) => {
                warn!("the costs of {day} cannot be read: {error}");
                unreadable.push(day);
            }
        }
        // The calendar has an end, and no day after it.
        if day.after(1) == day {
            break;
        }
        day = day.after(1);
    }
    (days, unreadable)
}
