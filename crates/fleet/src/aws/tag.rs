//! The names of the tags that make instances, volumes, templates and key pairs ours. Fixed: they are the database.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

use runner_fleet_engine::RunnerName;

/// Whose it is. What lacks it, or has another value, is never touched.
pub const MANAGER: &str = "runner-fleet:manager";
/// The `[[runners]]` section that it works for.
pub const RUNNER: &str = "runner-fleet:runner";
/// The hash of what it was made from.
pub const CONFIG: &str = "runner-fleet:config";
/// The launch decision that it came from: the call's `ClientToken`.
pub const LAUNCH: &str = "runner-fleet:launch";
/// Set by a person, with any value: neither drained nor terminated.
pub const HOLD: &str = "runner-fleet:hold";
/// What the EC2 console shows as the name.
pub const NAME: &str = "Name";

/// The tags that every resource of a runner carries. Ours win over the user's: without them a worker would be lost.
pub(crate) fn of_runner(
    manager: &str,
    runner: &RunnerName,
    users: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut tags = users.clone();
    tags.entry(NAME.to_owned()).or_insert_with(|| format!("{manager}-{runner}"));
    tags.insert(MANAGER.to_owned(), manager.to_owned());
    tags.insert(RUNNER.to_owned(), runner.as_str().to_owned());
    tags
}

/// The SDK's form.
pub(crate) fn to_sdk(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// All tags for one kind of resource.
pub(crate) fn specification(resource: ResourceType, tags: &BTreeMap<String, String>) -> TagSpecification {
    TagSpecification::builder().resource_type(resource).set_tags(Some(to_sdk(tags))).build()
}

/// A filter that lets only one value of a tag through.
pub(crate) fn filter(key: &str, value: &str) -> Filter {
    Filter::builder().name(format!("tag:{key}")).values(literal(value)).build()
}

/// EC2 reads `*` and `?` in a filter's value as wildcards and `\` as the escape before them.
fn literal(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The value of a tag.
pub(crate) fn find<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key)).map(|tag| tag.value().unwrap_or_default())
}

/// A text as part of a resource's name: EC2 takes letters, digits and few signs; the rest becomes `-`.
pub(crate) fn slug(text: &str, length_max: usize) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    text.chars().take(length_max).map(|c| if allowed(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_win_over_the_users_tags_but_a_users_name_stays() {
        let users = BTreeMap::from([
            (MANAGER.to_owned(), "someone-else".to_owned()),
            (NAME.to_owned(), "my worker".to_owned()),
            ("team".to_owned(), "build".to_owned()),
        ]);

        let tags = of_runner("ci", &RunnerName::new("arm"), &users);

        let pairs: Vec<_> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("Name", "my worker"), (MANAGER, "ci"), (RUNNER, "arm"), ("team", "build")]);
    }

    #[test]
    fn a_filter_takes_wildcards_literally() {
        assert_eq!(filter(MANAGER, r"c*?\i").values(), [r"c\*\?\\i"]);
    }

    #[test]
    fn a_slug_fits_into_a_template_name() {
        assert_eq!(slug("Mein Läufer #1 (arm64)", 12), "Mein-L-ufer-");
    }
}
