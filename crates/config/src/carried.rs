//! GitLab Runner's keys on their way to the workers: what is named otherwise there, and what cannot work there.
//!
//! With the old executors the manager's own process read them; now each worker's gitlab-runner does, in its latest
//! release and without the manager's files.
//!
//! Sources: gitlab-runner `common/config.go` of 11.2, 16.0 and 19.4; its documentation, "The `[runners.cache.s3]` section".

use super::node::{At, Item, Node, Table};
use super::problems::Note;

/// Top-level tables that stop at the manager, and why.
pub(crate) const STAYS: [(&str, &str); 2] = [
    ("machine", "left out: workers outlive the manager and are adopted by the next; nothing is removed at its exit"),
    (
        "session_server",
        "left out: a terminal would have to reach the worker that runs the job, and no one address leads to all of them",
    ),
];

/// Keys of a section that have another name since GitLab Runner 17.
const RENAMED: [(&str, &str); 2] =
    [("pre_clone_script", "pre_get_sources_script"), ("post_clone_script", "post_get_sources_script")];

/// Keys of `[runners.cache]` that belong into `[runners.cache.s3]` since GitLab Runner 12.
const OF_S3: [&str; 6] = ["ServerAddress", "AccessKey", "SecretKey", "BucketName", "BucketLocation", "Insecure"];

/// The client's certificate.
const CLIENT_FILES: [&str; 2] = ["tls-cert-file", "tls-key-file"];

/// Makes of a section what the workers' gitlab-runner reads, with a note for each key that is not as it was.
pub(crate) fn section(section: &mut Table, told: &mut Vec<Note>) {
    for (old, new) in RENAMED {
        rename(section, old, new, told);
    }
    for key in CLIENT_FILES {
        if let Some(node) = section.get(key).filter(|node| node.as_str() != Some("")) {
            told.push(Note::new(&node.at, format!("names a file of this machine: its content does not travel, so that a worker has it only by its image or setup_script; and the service itself shows GitLab no certificate, whatever `{key}` says")));
        }
    }
    if let Some(cache) = section.table_mut("cache") {
        flat_keys_of_s3(cache, told);
        credentials_file(cache, told);
    }
    if let Some(docker) = section.table_mut("docker") {
        services(docker, told);
    }
}

/// Whether [`section`] says what becomes of this key of a section, or of its cache.
pub(crate) fn answers(table: &Table, key: &str) -> bool {
    let is = |known: &str| known.eq_ignore_ascii_case(key);
    let place = table.at.path();
    (place.ends_with(']') && RENAMED.iter().any(|(old, _)| is(old)))
        || (place.ends_with(".cache") && OF_S3.iter().any(|known| is(known)))
}

fn rename(section: &mut Table, old: &str, new: &str, told: &mut Vec<Note>) {
    let is_there = section.get(new).is_some();
    let Some(place) = section.entries.iter().position(|(key, _)| key == old) else { return };
    if is_there {
        let (_, node) = section.entries.remove(place);
        told.push(Note::new(&node.at, format!("left out: `{new}`, its new name, is there as well")));
    } else if let Some((key, node)) = section.entries.get_mut(place) {
        told.push(Note::new(&node.at, format!("renamed: GitLab Runner reads `{new}` since 17.0")));
        new.clone_into(key);
    }
}

fn flat_keys_of_s3(cache: &mut Table, told: &mut Vec<Note>) {
    let is_flat = |key: &str| OF_S3.iter().any(|known| known.eq_ignore_ascii_case(key));
    let kind = cache.get("Type").and_then(Node::as_str).unwrap_or_default();
    let is_s3 = kind.is_empty() || kind.eq_ignore_ascii_case("s3");
    let (flat, mut kept): (Vec<_>, Vec<_>) =
        std::mem::take(&mut cache.entries).into_iter().partition(|(key, _)| is_flat(key));
    if let Some((_, first)) = flat.first().filter(|_| is_s3)
        && !kept.iter().any(|(key, node)| key == "s3" && node.as_table().is_some())
    {
        let s3 = Table::empty(&cache.at.key("s3"));
        kept.push(("s3".to_owned(), Node::new(&first.at, Item::Table(s3))));
    }
    cache.entries = kept;
    for (key, node) in flat {
        let at = node.at.clone();
        let name = OF_S3.into_iter().find(|known| known.eq_ignore_ascii_case(&key)).unwrap_or(&key);
        match cache.table_mut("s3").filter(|_| is_s3) {
            Some(s3) if s3.get(name).is_none() => {
                s3.push(name, node);
                told.push(moved(&at));
            }
            Some(_) => told.push(Note::new(&at, "left out: [runners.cache.s3] has this key, too")),
            None => told.push(Note::new(&at, "left out: GitLab Runner does not read this key since 12.0")),
        }
    }
}

fn moved(at: &At) -> Note {
    Note::new(at, "moved: GitLab Runner reads this key in [runners.cache.s3] since 12.0")
}

fn credentials_file(cache: &Table, told: &mut Vec<Note>) {
    let gcs = cache.get("gcs").and_then(Node::as_table);
    let file = gcs.and_then(|gcs| gcs.get("CredentialsFile")).filter(|node| node.as_str() != Some(""));
    if let Some(node) = file {
        told.push(Note::new(&node.at, "names a file of this machine: a worker has it only by its image or setup_script; AccessID and PrivateKey travel"));
    }
}

/// `services = ["mysql:8"]` is from before GitLab Runner 12.
fn services(docker: &mut Table, told: &mut Vec<Note>) {
    let Some(Node { at, item: Item::Array(services) }) = docker.get_mut("services") else { return };
    let mut is_old = false;
    for service in services.iter_mut().filter(|service| service.as_str().is_some()) {
        let mut table = Table::empty(&service.at);
        table.push("name", service.clone());
        *service = Node::new(&service.at.clone(), Item::Table(table));
        is_old = true;
    }
    if is_old {
        told.push(Note::new(at, "written as [[runners.docker.services]], as GitLab Runner reads services since 12.0"));
    }
}
