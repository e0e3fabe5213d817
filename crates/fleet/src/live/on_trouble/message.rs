//! What is said of a trouble: JSON for programs, with a `text` that chat programs show.

use jiff::Timestamp;
use serde::Serialize;
use strum::IntoStaticStr;

use runner_fleet_engine::text::one_line;
use runner_fleet_engine::{Brief, Trouble};

/// Characters of `text` at most: chat programs cut what is longer, or refuse it.
const TEXT_MAX: usize = 2_000;

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Occasion {
    /// The trouble has begun.
    Began,
    /// It has become critical.
    Worse,
    /// It is over.
    Over,
    /// Somebody wants to know whether messages arrive.
    Test,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct News {
    pub(super) event: Occasion,
    pub(super) trouble: Trouble,
}

/// A message; its JSON form is stable, and versioned.
#[derive(Debug, Serialize)]
pub struct Message<'a> {
    version: u32,
    manager: &'a str,
    event: Occasion,
    at: Timestamp,
    /// Absent in a test.
    trouble: Option<&'a Trouble>,
    /// All of it for people.
    pub text: String,
}

impl<'a> Message<'a> {
    pub(super) fn of(manager: &'a str, at: Timestamp, news: &'a News) -> Self {
        let News { event, trouble } = news;
        let lasted = || Brief(at.duration_since(trouble.since).try_into().unwrap_or_default()).to_string();
        let text = match event {
            Occasion::Over => format!("[over] {manager}: {trouble} (it lasted {})", lasted()),
            Occasion::Began | Occasion::Worse | Occasion::Test => {
                format!("[{}] {manager}: {trouble}. To do: {}", trouble.severity.as_str(), trouble.advice)
            }
        };
        Self { version: 1, manager, event: *event, at, trouble: Some(trouble), text: for_chat(&text) }
    }

    pub(super) fn test(manager: &'a str, at: Timestamp) -> Self {
        let text = format!("[test] {manager}: runner-fleet will tell you here when something is wrong");
        Self { version: 1, manager, event: Occasion::Test, at, trouble: None, text: for_chat(&text) }
    }

    pub(super) fn json(&self) -> String {
        // Plain data: there is nothing in it that cannot be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// One line, in which nothing calls a person or a channel: job names and what EC2 says are anybody's words.
/// Source: Slack, "Formatting text for app surfaces", "Escaping text".
fn for_chat(text: &str) -> String {
    one_line(text, TEXT_MAX).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::{RunnerName, Severity, TroubleReason};

    #[test]
    fn words_of_others_stay_words() {
        let now = Timestamp::UNIX_EPOCH;
        let last = "<!channel> & <https://evil.example|click>\nsecond line".to_owned();
        let reason = TroubleReason::BootsFail { in_a_row: 3, last, until: None };
        let trouble = Trouble::at(now, Severity::Critical, Some(RunnerName::new("spot")), now, Some(4), reason);
        let news = News { event: Occasion::Began, trouble };
        let message = Message::of("ci", now, &news);
        assert!(message.text.starts_with("[critical] ci: spot: boots fail, 3 in a row (last: &lt;!channel&gt; &amp; "));
        assert!(!message.text.contains(['<', '>', '\n']), "{}", message.text);
        let json: serde_json::Value = serde_json::from_str(&message.json()).unwrap();
        assert_eq!((json["version"].clone(), json["event"].clone()), (1.into(), "began".into()));
        assert_eq!(json["trouble"]["reason"]["kind"], "boots-fail");
        assert_eq!(json["trouble"]["jobs_waiting"], 4);
        let long = News { event: Occasion::Over, ..news };
        assert!(Message::of(&"m".repeat(9_000), now, &long).text.chars().count() <= TEXT_MAX);
    }
}
