//! `/api/v1/history` and `/api/v1/events`: questions about the past, in the address.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::history::{BadQuestion, EventsQuestion, HistoryQuestion};

use super::site::Site;

/// What the fleet looked like.
pub(super) async fn history(
    State(site): State<Site>,
    question: Result<Query<HistoryQuestion>, QueryRejection>,
) -> Response {
    answered(question, |question| site.history.rows(question))
}

/// What has happened.
pub(super) async fn events(
    State(site): State<Site>,
    question: Result<Query<EventsQuestion>, QueryRejection>,
) -> Response {
    answered(question, |question| site.history.events(question))
}

/// The answer, or what is wrong with the question: always a sentence.
fn answered<Q, A: serde::Serialize>(
    question: Result<Query<Q>, QueryRejection>,
    answer: impl FnOnce(&Q) -> Result<A, BadQuestion>,
) -> Response {
    let read = question.map_err(|rejection| BadQuestion(rejection.body_text()));
    match read.and_then(|Query(question)| answer(&question)) {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(BadQuestion(why)) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    }
}
