//! Files of the field, each with its right value.

mod carried;
mod limits;
mod merged;
mod names;
mod policies;
mod unknown;

use std::collections::BTreeSet;

use super::old::{Old, folder};

/// No file without a test: each is named here, and that it is accepted and means the same is tested here.
#[test]
fn every_case_is_accepted_and_means_the_same() {
    let accepted = [
        "autoscaler-two-policies",
        "client-cert",
        "docs-aws-example",
        "engine-answered",
        "idle-above-factor-limit",
        "idlecount-over-limit",
        "launch-template-answered",
        "name-with-spaces",
        "partial-override",
        "session-server-and-old-keys",
        "terraform-machine",
        "two-always",
        "userdata-relative",
    ];
    // These have a test of their own below.
    let others = ["factor-zero-min", "several-runners"];
    for name in accepted {
        Old::case(name).same();
    }
    let files = std::fs::read_dir(folder("cases")).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, accepted.iter().chain(&others).map(ToString::to_string).collect());
}
