//! Names for people become names that tell workers apart; sections of other executors stay with gitlab-runner.

use crate::old::{Old, plain_machine};

#[test]
fn a_name_with_spaces_becomes_one_that_can_be_a_tag() {
    let new = Old::case("name-with-spaces").same();
    new.says(&[("name", "\"AWS-runner-docker-machine-eu-west-1\"")]);
    assert!(new.word("runners[0].name").contains("AWS runner (docker+machine), eu-west-1"));
}

#[test]
fn a_missing_name_is_made() {
    for written in ["", "name = \"\""] {
        let new = plain_machine(&[], "").with("name = \"spot\"", written).same();
        new.says(&[("name", "\"runner\"")]);
        assert_eq!(new.words("runners[0].name").len(), 1);
    }
}

#[test]
fn two_sections_of_one_name_get_two() {
    let old = Old::case("several-runners");
    let new = old.migrated();
    assert_eq!(new.to_dos(), Vec::<&str>::new());
    let config = new.config();
    assert_eq!(config.runners.iter().map(|runner| runner.name.as_str()).collect::<Vec<_>>(), ["ci", "ci-2"]);
    assert!(new.word("runners[1].name").contains("\"ci-2\""));
    for section in ["runners[2]", "runners[3]"] {
        assert!(new.word(section).contains("leave this with gitlab-runner"), "{}", new.text);
    }
    assert!(!new.text.contains("glrt-invented-b"), "what stays with gitlab-runner is not copied");

    let problems = old.load().unwrap_err();
    let paths: Vec<&str> = problems.list.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["runners[2].executor", "runners[3].fleet"], "{problems}");
    assert!(problems.list.iter().all(|problem| problem.message.contains("leave this section with gitlab-runner")));
}

/// Names that are written as they can be are nobody else's.
#[test]
fn no_made_name_takes_a_written_one() {
    let one = plain_machine(&[], "").text;
    let (head, section) = one.split_at(one.find("[[runners]]").unwrap());
    let sections = ["a b", "a-b", "a-b-2", "a-b"].map(|name| section.replace("\"spot\"", &format!("{name:?}")));
    let new = Old::text(format!("{head}{}", sections.concat())).same();
    let names: Vec<String> = new.config().runners.iter().map(|runner| runner.name.to_string()).collect();
    assert_eq!(names, ["a-b-3", "a-b", "a-b-2", "a-b-4"]);
    let long = "x y".repeat(40);
    let sections = [&long, &long].map(|name| section.replace("\"spot\"", &format!("{name:?}")));
    Old::text(format!("{head}{}", sections.concat())).same();
}

#[test]
fn a_file_without_a_section_for_us_is_told_so() {
    let shell = plain_machine(&[], "").with("docker+machine", "shell");
    let problems = shell.migrate().unwrap_err().to_string();
    assert!(problems.contains("there is nothing to migrate"), "{problems}");
}
