//! What a runner is and where its queue lies: all three types, the administrator's restriction, missing rights.

use std::collections::BTreeSet;

use runner_fleet_engine::{ProjectId, Scope};
use runner_fleet_gitlab::{Discovered, GitLabError, Restriction};
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer};

use super::{client, get, json, recorded};

fn ids(ids: &[u64]) -> BTreeSet<ProjectId> {
    ids.iter().copied().map(ProjectId).collect()
}

fn restriction(projects: &[&str], groups: &[&str]) -> Restriction {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Restriction { projects: owned(projects), groups: owned(groups) }
}

async fn discover(server: &MockServer, restriction: &Restriction) -> Result<Discovered, GitLabError> {
    client(&server.uri()).discover(6, restriction).await
}

/// Two pages; the parameters without which GitLab would leave out subgroups or add projects of others are required.
async fn group(server: &MockServer, at: &str) {
    let next = format!("<{}{at}?page=2&per_page=100>; rel=\"next\"", server.uri());
    let first = json(200, recorded!("projects_1.json")).insert_header("link", next.as_str());
    Mock::given(method("GET"))
        .and(path(at))
        .and(query_param("include_subgroups", "true"))
        .and(query_param("with_shared", "false"))
        .and(query_param("archived", "false"))
        .and(query_param_is_missing("page"))
        .respond_with(first)
        .mount(server)
        .await;
    Mock::given(method("GET"))
        .and(path(at))
        .and(query_param("page", "2"))
        .respond_with(json(200, recorded!("projects_2.json")))
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_group_runner_serves_its_tree() {
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(200, recorded!("runner_group.json"))).await;
    group(&server, "/api/v4/groups/9/projects").await;

    let found = discover(&server, &Restriction::default()).await.unwrap();

    // Not: 2 (no builds), 3 (no group runners), 4 (archived), 7 (to be deleted).
    assert_eq!(found.projects, ids(&[1, 5, 6]));
    assert!(!found.restricted && found.notes.is_empty(), "{:?}", found.notes);
    let facts = found.facts.unwrap();
    assert_eq!(facts.id, 6);
    assert_eq!(facts.tags, ["arm64", "docker"].map(str::to_owned).into());
    assert!(!facts.run_untagged && facts.protected_only && !facts.paused);
    assert_eq!(facts.scope, Scope::Projects(ids(&[1, 5, 6])));
}

#[tokio::test]
async fn a_project_runner_names_its_projects() {
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(200, recorded!("runner_project.json"))).await;

    let found = discover(&server, &Restriction::default()).await.unwrap();

    assert_eq!(found.projects, ids(&[1, 2]));
    let facts = found.facts.unwrap();
    assert!(!facts.protected_only);
    assert_eq!(facts.scope, Scope::Projects(ids(&[1, 2])));
}

#[tokio::test]
async fn an_instance_runner_watches_the_members_projects() {
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(200, recorded!("runner_instance.json"))).await;
    Mock::given(method("GET"))
        .and(path("/api/v4/projects"))
        .and(query_param("membership", "true"))
        .and(query_param("pagination", "keyset"))
        .and(query_param_is_missing("id_after"))
        .respond_with(json(200, recorded!("projects_1.json")).insert_header(
            "link",
            format!("<{}/api/v4/projects?id_after=3&pagination=keyset>; rel=\"next\"", server.uri()).as_str(),
        ))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/api/v4/projects"))
        .and(query_param("id_after", "3"))
        .respond_with(json(200, recorded!("projects_2.json")))
        .mount(&server)
        .await;

    let found = discover(&server, &Restriction::default()).await.unwrap();

    assert_eq!(found.projects, ids(&[1, 3, 6]), "without 5, which wants no instance runners");
    assert_eq!(found.facts.unwrap().scope, Scope::Everything);
}

#[tokio::test]
async fn an_instance_runner_without_any_project_is_told() {
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(200, recorded!("runner_instance.json"))).await;
    get(&server, "/api/v4/projects", json(200, "[]")).await;
    let found = discover(&server, &Restriction::default()).await.unwrap();
    assert_eq!(found.notes, ["the api_token's user is member of no project: no queue is visible"]);
}

#[tokio::test]
async fn the_restriction_cuts_the_runners_own_reach() {
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(200, recorded!("runner_group.json"))).await;
    group(&server, "/api/v4/groups/9/projects").await;
    get(&server, "/api/v4/projects/acme%2Fp", json(200, r#"{"id":1}"#)).await;
    get(&server, "/api/v4/projects/77", json(200, r#"{"id":77}"#)).await;
    get(
        &server,
        "/api/v4/groups/acme%2Fsub/projects",
        json(200, r#"[{"id":5},{"id":6,"group_runners_enabled":false}]"#),
    )
    .await;

    let found = discover(&server, &restriction(&["/acme/p", "77"], &["acme/sub"])).await.unwrap();

    assert_eq!(found.projects, ids(&[1, 5]), "77 is outside of the runner's group");
    assert!(found.restricted);
    assert_eq!(found.facts.unwrap().scope, Scope::Projects(ids(&[1, 5])));
}

#[tokio::test]
async fn a_restriction_that_leaves_nothing_is_told() {
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(200, recorded!("runner_project.json"))).await;
    get(&server, "/api/v4/projects/77", json(200, r#"{"id":77}"#)).await;
    let found = discover(&server, &restriction(&["77"], &[])).await.unwrap();
    assert!(found.projects.is_empty());
    assert_eq!(found.notes, ["none of the configured projects and groups can give this runner a job"]);
}

#[tokio::test]
async fn without_rights_the_configuration_says_where_to_look() {
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(403, recorded!("403_runner.json"))).await;
    get(&server, "/api/v4/projects/acme%2Fp", json(200, r#"{"id":1}"#)).await;

    let found = discover(&server, &restriction(&["acme/p"], &[])).await.unwrap();
    assert_eq!(found.projects, ids(&[1]));
    let error = found.facts.unwrap_err();
    assert!(error.is_denied());
    assert!(error.to_string().contains("needs the Maintainer role"), "{error}");

    let error = discover(&server, &Restriction::default()).await.unwrap_err();
    assert!(error.to_string().contains("or set projects or groups"), "{error}");
}

#[tokio::test]
async fn a_wrong_path_in_the_configuration_is_named() {
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(200, recorded!("runner_instance.json"))).await;
    get(&server, "/api/v4/projects/acme%2Fpp", json(404, recorded!("404_project.json"))).await;
    let error = discover(&server, &restriction(&["acme/pp"], &[])).await.unwrap_err();
    assert!(error.to_string().contains("cannot read the project \"acme/pp\" of the configuration"), "{error}");
    assert!(error.to_string().contains("check the paths"), "{error}");
}

#[tokio::test]
async fn a_sick_server_is_no_missing_right() {
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(502, "")).await;
    assert!(discover(&server, &restriction(&["1"], &[])).await.unwrap_err().is_transient());
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(200, recorded!("runner_group.json"))).await;
    get(&server, "/api/v4/groups/9/projects", json(500, "{}")).await;
    assert!(discover(&server, &Restriction::default()).await.is_err(), "a failed list is not an empty one");
}

#[tokio::test]
async fn an_older_servers_pause_and_an_unknown_type_are_read() {
    let server = MockServer::start().await;
    let old = r#"{"id":6,"runner_type":"project_type","tag_list":[],"run_untagged":true,"active":false,"projects":[{"id":1}]}"#;
    get(&server, "/api/v4/runners/6", json(200, old)).await;
    assert!(discover(&server, &Restriction::default()).await.unwrap().facts.unwrap().paused);
    let server = MockServer::start().await;
    let unknown = r#"{"id":6,"runner_type":"galaxy_type","tag_list":[],"run_untagged":true}"#;
    get(&server, "/api/v4/runners/6", json(200, unknown)).await;
    assert!(discover(&server, &Restriction::default()).await.is_err());
}
