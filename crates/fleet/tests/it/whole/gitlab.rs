//! GitLab on the wire, as far as the service talks to it: one runner, two projects, jobs that wait in the first.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(super) const PROJECT: u64 = 1;
pub(super) const RUNNER_TOKEN: &str = "glrt-AbCdEfGhIjKlMnOpQrSt";

/// What GitLab knows, and what it was asked for.
#[derive(Default)]
pub(super) struct State {
    /// Jobs that wait for a runner.
    pub(super) waiting: BTreeSet<u64>,
    /// Whether it answers 502 to everything.
    pub(super) is_down: bool,
    /// How often it did.
    pub(super) refusals: usize,
    /// How many looks at the queue it answered.
    pub(super) looks: usize,
    /// System ids of the runner managers that were deleted.
    pub(super) forgotten: Vec<String>,
    /// Requests that have no answer here.
    pub(super) unknown: Vec<String>,
    /// The runner's token, once it was reset.
    pub(super) new_token: Option<&'static str>,
    /// The last day of the api token.
    pub(super) api_token_ends: Option<jiff::civil::Date>,
}

impl State {
    /// Whether a call has the token that the runner has now.
    fn knows(&self, body: &[u8]) -> bool {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["token"] == self.new_token.unwrap_or(RUNNER_TOKEN)
    }
}

pub(super) struct GitLab {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

impl GitLab {
    pub(super) async fn start() -> Self {
        let (server, state) = (MockServer::start().await, Arc::<Mutex<State>>::default());
        Mock::given(any()).respond_with(Doors(Arc::clone(&state))).mount(&server).await;
        Self { server, state }
    }

    pub(super) fn url(&self) -> String {
        self.server.uri()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

struct Doors(Arc<Mutex<State>>);

impl Respond for Doors {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        if state.is_down {
            state.refusals += 1;
            let page = include_str!("../../../../gitlab/tests/recorded/502.html");
            return ResponseTemplate::new(502).set_body_raw(page, "text/html");
        }
        let door = format!("{} {}", request.method, request.url.path().trim_start_matches("/api"));
        match door.as_str() {
            "POST /v4/runners/verify" if !state.knows(&request.body) => {
                answer(403, &json!({ "message": "403 Forbidden" }))
            }
            "POST /v4/runners/verify" => {
                answer(200, &json!({ "id": 6, "token": RUNNER_TOKEN, "token_expires_at": null }))
            }
            "GET /v4/runners/6" => {
                let runner = include_str!("../../../../gitlab/tests/recorded/runner_project.json");
                ResponseTemplate::new(200).set_body_raw(runner, "application/json")
            }
            "GET /v4/projects/1/jobs" => {
                state.looks += 1;
                answer(200, &state.waiting.iter().map(|id| pending(*id)).collect())
            }
            "GET /v4/projects/2/jobs" => answer(200, &json!([])),
            "GET /v4/personal_access_tokens/self" => {
                answer(200, &json!({ "scopes": ["read_api"], "expires_at": state.api_token_ends }))
            }
            // An older server without the one-request queue.
            "POST /graphql" => answer(404, &json!({ "error": "404 Not Found" })),
            "DELETE /v4/runners/managers" => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                assert_eq!(body["token"], state.new_token.unwrap_or(RUNNER_TOKEN));
                state.forgotten.push(body["system_id"].as_str().unwrap().to_owned());
                ResponseTemplate::new(204)
            }
            _ => {
                state.unknown.push(door);
                answer(404, &json!({ "message": "404 Not Found" }))
            }
        }
    }
}

fn answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

fn pending(id: u64) -> Value {
    json!({
        "id": id, "status": "pending", "stage": "test", "name": "rspec", "ref": "main", "tag": false,
        "queued_duration": 0.5, "source": "push", "tag_list": ["docker"], "runner": null, "runner_manager": null,
        "pipeline": { "id": 1, "project_id": PROJECT, "ref": "main", "status": "pending", "source": "push" },
    })
}
