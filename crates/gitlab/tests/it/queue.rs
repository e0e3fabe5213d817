//! Looks at the queue, project by project: what counts, what is kept, what is complete, and how often GitLab is asked.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use runner_fleet_engine::{JobId, ProjectId, ProjectPath, QueueSnapshot};
use runner_fleet_gitlab::{GitLab, GitLabError, QueueReader, QueueScope};
use wiremock::matchers::{header, method, path, path_regex, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{API_TOKEN, Clock, asked, client, get, impatient, json, options, recorded};

fn scope(projects: impl IntoIterator<Item = u64>) -> QueueScope {
    QueueScope { projects: projects.into_iter().map(ProjectId).collect(), ..QueueScope::default() }
}

fn reader(server: &MockServer, projects: impl IntoIterator<Item = u64>) -> QueueReader {
    QueueReader::new(client(&server.uri()), scope(projects))
}

async fn poll(reader: &mut QueueReader, clock: &Clock) -> Result<QueueSnapshot, GitLabError> {
    reader.poll(&|| clock.now()).await
}

fn ids(snapshot: &QueueSnapshot) -> Vec<u64> {
    snapshot.jobs.iter().map(|job| job.id.0).collect()
}

fn job(id: u64) -> String {
    format!(r#"[{{"id":{id},"status":"pending","tag_list":[],"queued_duration":1.0}}]"#)
}

fn jobs_of(project: u64) -> String {
    format!("/api/v4/projects/{project}/jobs")
}

#[tokio::test]
async fn only_unclaimed_pending_jobs_are_waiting() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path(jobs_of(1)))
        .and(header("private-token", API_TOKEN))
        .and(query_param("scope[]", "pending"))
        .and(query_param("pagination", "keyset"))
        .and(query_param("order_by", "id"))
        .and(query_param("sort", "desc"))
        .respond_with(json(200, recorded!("jobs.json")))
        .expect(1)
        .mount(&server)
        .await;
    let clock = Clock::start();

    let snapshot = poll(&mut reader(&server, [1]), &clock).await.unwrap();

    assert_eq!(ids(&snapshot), [7228, 7229, 7230, 7231], "7233 is claimed");
    assert!(snapshot.complete);
    assert_eq!(snapshot.as_of, clock.now());
    let rspec = snapshot.jobs.iter().find(|job| job.id == JobId(7231)).unwrap();
    assert_eq!(rspec.project, ProjectId(1));
    assert_eq!(rspec.project_path, None, "its address is on another host than the server's");
    assert_eq!(rspec.name, "rspec");
    assert_eq!(rspec.tags, ["arm64", "docker"].map(str::to_owned).into());
    assert_eq!(clock.now().duration_since(rspec.queued_at).as_secs_f64(), 12.345);
    assert_eq!((rspec.seen_at, rspec.protected, &rspec.offered_to), (clock.now(), None, &None));
}

#[tokio::test]
async fn a_jobs_address_tells_its_projects_path() {
    let server = MockServer::start().await;
    let own = recorded!("jobs.json").replace("https://gitlab.example.com", &server.uri());
    get(&server, &jobs_of(1), json(200, &own)).await;
    let snapshot = poll(&mut reader(&server, [1]), &Clock::start()).await.unwrap();
    let rspec = snapshot.jobs.iter().find(|job| job.id == JobId(7231)).unwrap();
    assert_eq!(rspec.project_path.as_ref().map(ProjectPath::as_str), Some("g/p"));
}

#[tokio::test]
async fn servers_of_the_past_and_the_future_are_read() {
    let server = MockServer::start().await;
    get(&server, &jobs_of(1), json(200, recorded!("jobs_old_server.json"))).await;
    get(&server, &jobs_of(2), json(200, recorded!("jobs_new_server.json"))).await;
    let clock = Clock::start();
    let snapshot = poll(&mut reader(&server, [1, 2]), &clock).await.unwrap();
    assert_eq!(ids(&snapshot), [11, 12]);
    assert_eq!(snapshot.jobs[0].queued_at, clock.now(), "an age that is not told begins now");
}

#[tokio::test]
async fn a_waiting_job_stays_the_same_from_look_to_look() {
    let server = MockServer::start().await;
    // Read three seconds later, this recorded age would make the job three seconds younger.
    get(&server, &jobs_of(1), json(200, &job(1))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, [1]);
    let first = poll(&mut reader, &clock).await.unwrap();
    clock.advance(3);
    let second = poll(&mut reader, &clock).await.unwrap();
    assert_eq!(second.jobs[0].queued_at, first.jobs[0].queued_at);
    assert_eq!((second.jobs[0].seen_at, second.as_of), (clock.now(), clock.now()));
}

#[tokio::test]
async fn pages_are_followed_to_the_last_which_has_no_link() {
    let server = MockServer::start().await;
    let link = |cursor: &str| format!("<{}{}?cursor={cursor}&per_page=100>; rel=\"next\"", server.uri(), jobs_of(1));
    let page = |cursor: &'static str| Mock::given(method("GET")).and(query_param("cursor", cursor));
    Mock::given(method("GET"))
        .and(query_param_is_missing("cursor"))
        .respond_with(json(200, &job(3)).insert_header("link", link("a").as_str()))
        .mount(&server)
        .await;
    page("a").respond_with(json(200, &job(2)).insert_header("link", link("b").as_str())).mount(&server).await;
    page("b").respond_with(json(200, &job(1))).mount(&server).await;

    let snapshot = poll(&mut reader(&server, [1]), &Clock::start()).await.unwrap();

    assert_eq!(ids(&snapshot), [1, 2, 3]);
    assert!(snapshot.complete);
    assert_eq!(asked(&server).await.len(), 3);
}

#[tokio::test]
async fn a_list_cut_on_its_second_page_is_no_list() {
    let server = MockServer::start().await;
    let link = format!("<{}{}?cursor=a>; rel=\"next\"", server.uri(), jobs_of(1));
    let first = json(200, &job(3)).insert_header("link", link.as_str());
    Mock::given(query_param_is_missing("cursor")).respond_with(first).mount(&server).await;
    Mock::given(query_param("cursor", "a")).respond_with(json(200, r#"[{"id":2,"#)).mount(&server).await;
    assert!(poll(&mut reader(&server, [1]), &Clock::start()).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn pages_in_a_circle_or_on_another_server_are_refused() {
    let (server, evil) = (MockServer::start().await, MockServer::start().await);
    let link = |to: &MockServer, project| format!("<{}{}?cursor=a>; rel=\"next\"", to.uri(), jobs_of(project));
    get(&server, &jobs_of(1), json(200, &job(1)).insert_header("link", link(&server, 1).as_str())).await;
    let circle = poll(&mut reader(&server, [1]), &Clock::start()).await.unwrap_err();
    assert!(circle.to_string().contains("circle"), "{circle}");

    get(&server, &jobs_of(2), json(200, &job(2)).insert_header("link", link(&evil, 2).as_str())).await;
    let foreign = poll(&mut reader(&server, [2]), &Clock::start()).await.unwrap_err();
    assert!(foreign.to_string().contains(&format!("said to be at {}", evil.uri())), "{foreign}");
    assert!(asked(&evil).await.is_empty(), "the token was carried away");
}

#[tokio::test]
async fn a_project_with_endless_pages_shows_its_newest_jobs() {
    let server = MockServer::start().await;
    let uri = server.uri();
    Mock::given(path(jobs_of(1)))
        .respond_with(move |request: &Request| {
            let cursor: u64 =
                request.url.query_pairs().find(|(key, _)| key == "cursor").map_or(0, |(_, v)| v.parse().unwrap());
            let link = format!("<{uri}{}?cursor={}>; rel=\"next\"", jobs_of(1), cursor + 1);
            json(200, &job(9000 - cursor)).insert_header("link", link.as_str())
        })
        .mount(&server)
        .await;
    let snapshot = poll(&mut reader(&server, [1]), &Clock::start()).await.unwrap();
    assert_eq!(snapshot.jobs.len(), 20);
    assert!(!snapshot.complete);
}

#[tokio::test]
async fn a_failing_project_keeps_its_jobs_and_their_age() {
    let server = MockServer::start().await;
    get(&server, &jobs_of(1), json(200, &job(1))).await;
    get(&server, &jobs_of(2), json(200, &job(2))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, [1, 2]);
    let first = poll(&mut reader, &clock).await.unwrap();
    server.reset().await;
    get(&server, &jobs_of(1), json(200, "[]")).await;
    get(&server, &jobs_of(2), json(502, recorded!("502.html"))).await;
    clock.advance(3);

    let second = poll(&mut reader, &clock).await.unwrap();

    assert_eq!(second.jobs, first.jobs[1..], "job 1 is gone, job 2 is remembered as it was seen");
    assert!(!second.complete);
    assert_eq!(second.as_of, first.as_of, "the poll is as old as its oldest job");
}

#[tokio::test]
async fn one_hanging_project_does_not_slow_every_look() {
    let server = MockServer::start().await;
    get(&server, &jobs_of(1), json(200, "[]")).await;
    get(&server, &jobs_of(2), json(200, "[]").set_delay(Duration::from_secs(60))).await;
    let clock = Clock::start();
    let mut reader = QueueReader::new(impatient(&server.uri()), scope([1, 2]));
    for _ in 0..10 {
        assert!(!poll(&mut reader, &clock).await.unwrap().complete);
        clock.advance(3);
    }
    let asked = asked(&server).await;
    let hanging = asked.iter().filter(|path| path.contains("/2/")).count();
    assert!((2..=4).contains(&hanging), "asked {hanging} times in 30 s; it should be left alone for 5, 10, 20 s");
    assert_eq!(asked.len() - hanging, 10);
}

#[tokio::test]
async fn when_nobody_answers_the_look_fails_and_the_wait_grows() {
    let server = MockServer::start().await;
    Mock::given(path_regex("jobs$")).respond_with(ResponseTemplate::new(502)).mount(&server).await;
    let clock = Clock::start();
    let mut reader = reader(&server, 1..=100);
    for _ in 0..200 {
        assert!(poll(&mut reader, &clock).await.unwrap_err().is_transient());
        clock.advance(3);
    }
    let requests = asked(&server).await.len();
    assert!((64..=240).contains(&requests), "{requests} requests in ten minutes of a dead server");
    server.reset().await;
    Mock::given(path_regex("jobs$")).respond_with(json(200, "[]")).mount(&server).await;
    clock.advance(60);
    assert!(poll(&mut reader, &clock).await.is_ok(), "it recovers within a minute");
}

#[tokio::test]
async fn the_endpoint_limit_stops_everything_until_the_next_minute() {
    let server = MockServer::start().await;
    // The delay lets all requests of the poll arrive before the first answer ends it: they can be counted.
    let throttled = json(429, recorded!("429_endpoint.json")).set_delay(Duration::from_millis(100));
    Mock::given(path_regex("jobs$")).respond_with(throttled).mount(&server).await;
    let clock = Clock::start();
    let mut reader = reader(&server, 1..=30);
    assert!(poll(&mut reader, &clock).await.unwrap_err().is_throttled());
    let requests = asked(&server).await.len();
    assert_eq!(requests, 8, "one round of requests into a full limit, no more");
    clock.advance(12);
    let resting = poll(&mut reader, &clock).await.unwrap_err();
    assert!(resting.is_throttled() && resting.to_string().starts_with("not asked again before 2026-08-22T10:01:0"));
    assert_eq!(asked(&server).await.len(), requests, "it was asked again within the same minute");
    server.reset().await;
    Mock::given(path_regex("jobs$")).respond_with(json(200, "[]")).mount(&server).await;
    clock.advance(7);
    assert!(!poll(&mut reader, &clock).await.unwrap().complete, "the first poll after a failure is a careful one");
    assert_eq!(asked(&server).await.len(), 8);
    assert!(poll(&mut reader, &clock).await.unwrap().complete);
}

#[tokio::test]
async fn a_limit_hit_midway_keeps_what_was_answered() {
    let server = MockServer::start().await;
    get(&server, &jobs_of(1), json(200, &job(1))).await;
    let throttled = ResponseTemplate::new(429).insert_header("retry-after", "30").set_body_string("Retry later");
    get(&server, &jobs_of(2), throttled.set_delay(Duration::from_millis(100))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, [1, 2]);
    let seen = poll(&mut reader, &clock).await.unwrap();
    assert!(ids(&seen) == [1] && !seen.complete);
    clock.advance(29);
    assert!(poll(&mut reader, &clock).await.unwrap_err().is_throttled(), "Retry-After is obeyed");
}

#[tokio::test]
async fn a_refused_token_ends_the_look_at_once() {
    let server = MockServer::start().await;
    Mock::given(path_regex("jobs$")).respond_with(json(401, recorded!("401_revoked.json"))).mount(&server).await;
    let clock = Clock::start();
    let mut reader = reader(&server, 1..=100);
    let error = poll(&mut reader, &clock).await.unwrap_err();
    assert!(error.is_denied());
    assert!(error.to_string().ends_with("replace api_token, it is wrong, expired or revoked"), "{error}");
    assert!(asked(&server).await.len() <= 8);
}

#[tokio::test]
async fn invisible_projects_are_told_and_hide_no_others() {
    let server = MockServer::start().await;
    get(&server, &jobs_of(1), json(200, &job(1))).await;
    get(&server, &jobs_of(2), json(403, recorded!("403.json"))).await;
    get(&server, &jobs_of(3), json(404, recorded!("404_project.json"))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, [1, 2, 3]);
    for _ in 0..3 {
        let seen = poll(&mut reader, &clock).await.unwrap();
        assert!(seen.complete && seen.blind == 2 && ids(&seen) == [1]);
        clock.advance(3);
    }
    let blind: Vec<_> = reader.blind_spots().map(|(project, error)| (project.0, error.is_denied())).collect();
    assert_eq!(blind, [(2, true), (3, false)]);
    assert_eq!(asked(&server).await.len(), 5, "blind spots are asked rarely");

    reader.set_scope(scope([2, 3]));
    clock.advance(3);
    assert!(poll(&mut reader, &clock).await.is_err(), "seeing nothing at all is not an empty queue");
}

#[tokio::test]
async fn the_budget_holds_and_what_was_not_asked_is_not_empty() {
    let server = MockServer::start().await;
    Mock::given(path_regex("jobs$")).respond_with(json(200, "[]")).mount(&server).await;
    let mut options = options(&server.uri());
    options.requests_per_minute = NonZeroU32::MIN;
    let clock = Clock::start();
    let mut reader = QueueReader::new(GitLab::new(options).unwrap(), scope([1, 2]));

    let first = poll(&mut reader, &clock).await.unwrap();
    let second = poll(&mut reader, &clock).await.unwrap();

    assert!(!first.complete && first.jobs.is_empty());
    assert_eq!(second, first, "without budget nothing is asked, and what is known is repeated");
    assert_eq!(asked(&server).await.len(), 1);
}

#[tokio::test]
async fn an_empty_scope_is_an_empty_queue() {
    let server = MockServer::start().await;
    let snapshot = poll(&mut reader(&server, []), &Clock::start()).await.unwrap();
    assert!(snapshot.complete && snapshot.jobs.is_empty());
    assert!(asked(&server).await.is_empty());
}

#[tokio::test]
async fn protection_is_looked_up_only_where_it_matters() {
    let server = MockServer::start().await;
    get(&server, &jobs_of(1), json(200, recorded!("jobs.json"))).await;
    get(&server, &jobs_of(2), json(200, "[]")).await;
    get(&server, "/api/v4/projects/1/protected_branches", json(200, recorded!("protected_branches.json"))).await;
    get(&server, "/api/v4/projects/1/protected_tags", json(200, recorded!("protected_tags.json"))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, [1, 2]);
    poll(&mut reader, &clock).await.unwrap();
    assert_eq!(asked(&server).await.len(), 2, "no runner asked for it");
    reader.set_scope(QueueScope { needs_protection: true, ..scope([1, 2]) });

    let mut verdicts = Vec::new();
    for _ in 0..3 {
        let seen = poll(&mut reader, &clock).await.unwrap();
        verdicts = seen.jobs.iter().map(|job| (job.name.clone(), job.protected)).collect();
        clock.advance(3);
    }

    let wanted = [("wip", Some(false)), ("release", Some(true)), ("lint", None), ("rspec", Some(true))];
    assert_eq!(verdicts, wanted.map(|(name, protected)| (name.to_owned(), protected)));
    let rules: Vec<_> = asked(&server).await.into_iter().filter(|path| path.contains("protected")).collect();
    assert_eq!(rules.len(), 2, "read once, then kept: {rules:?}");
}

#[tokio::test]
async fn unreadable_rules_leave_protection_unknown() {
    let server = MockServer::start().await;
    get(&server, &jobs_of(1), json(200, recorded!("jobs.json"))).await;
    Mock::given(path_regex("protected")).respond_with(json(403, recorded!("403.json"))).mount(&server).await;
    let mut reader = QueueReader::new(client(&server.uri()), QueueScope { needs_protection: true, ..scope([1]) });
    let seen = poll(&mut reader, &Clock::start()).await.unwrap();
    assert!(seen.complete);
    assert_eq!(seen.jobs.iter().map(|job| job.protected).collect::<BTreeSet<_>>(), [None].into());
}

#[tokio::test]
async fn a_look_that_is_dropped_midway_leaves_all_in_order() {
    let server = MockServer::start().await;
    get(&server, &jobs_of(1), json(200, &job(1))).await;
    get(&server, &jobs_of(2), json(200, &job(2)).set_delay(Duration::from_millis(300))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, [1, 2]);
    let dropped = tokio::time::timeout(Duration::from_millis(150), poll(&mut reader, &clock)).await;
    assert!(dropped.is_err(), "the poll was to be cut");
    let seen = poll(&mut reader, &clock).await.unwrap();
    assert!(seen.complete && ids(&seen) == [1, 2]);
}

#[tokio::test]
async fn a_look_can_be_awaited_on_any_thread() {
    let server = MockServer::start().await;
    get(&server, &jobs_of(1), json(200, &job(1))).await;
    let mut reader = reader(&server, [1]);
    let clock = Arc::new(Clock::start());
    let spawned = tokio::spawn(async move { reader.poll(&|| clock.now()).await });
    assert_eq!(ids(&spawned.await.unwrap().unwrap()), [1]);
}
