//! `status --check`: the verdict for a monitoring program, in one line and an exit code.
//! Source: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios", "Plugin Return Codes".

use std::io::Write;
use std::process::ExitCode;

use runner_fleet_engine::text::one_line;
use runner_fleet_engine::{FleetSnapshot, Severity};

use super::super::CliError;
use super::verdict::sentence;

/// Characters of the line at most: what is longer is cut by who reads it, and with it the figures.
const TEXT_MAX: usize = 700;
/// The exit code where nobody knows.
const UNKNOWN: u8 = 3;

/// What the line says and the exit code means.
pub(super) fn check(outcome: Result<FleetSnapshot, CliError>, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let (word, code, text, figures) = match outcome {
        Ok(snapshot) => judged(&snapshot),
        Err(error) => ("UNKNOWN", UNKNOWN, error.to_string(), String::new()),
    };
    writeln!(out, "RUNNER-FLEET {word} - {}{figures}", line(&text))?;
    Ok(ExitCode::from(code))
}

fn judged(snapshot: &FleetSnapshot) -> (&'static str, u8, String, String) {
    let verdict = &snapshot.verdict;
    let count = |severity| verdict.troubles.iter().filter(|trouble| trouble.severity == severity).count();
    let waiting = if snapshot.waiting.complete { snapshot.waiting.total.to_string() } else { "U".to_owned() };
    let workers = if snapshot.ec2.is_known() { snapshot.workers.len().to_string() } else { "U".to_owned() };
    let (critical, warning) = (count(Severity::Critical), count(Severity::Warning));
    let figures = format!(" | critical={critical} warning={warning} jobs_waiting={waiting} workers={workers}");
    let (word, code) = match verdict.severity {
        Severity::Ok => ("OK", 0),
        Severity::Warning => ("WARNING", 1),
        Severity::Critical => ("CRITICAL", 2),
    };
    match (verdict.troubles.first(), snapshot.ec2.failure()) {
        (Some(worst), _) => {
            let more = match verdict.troubles.len() {
                1 => String::new(),
                all => format!(" ({} more: `runner-fleet status`)", all - 1),
            };
            (word, code, format!("{}; {}{more}", sentence(worst, snapshot.at), worst.advice), figures)
        }
        (None, Some(failure)) => ("UNKNOWN", UNKNOWN, format!("nothing is known of EC2 yet: {failure}"), figures),
        (None, None) => (word, code, "nothing is wrong".to_owned(), figures),
    }
}

/// One line, in which nothing is taken for the figures.
fn line(text: &str) -> String {
    one_line(text, TEXT_MAX).replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use runner_fleet_engine::{Engine, Knowledge, RunnerName, Trouble, TroubleReason, Verdict};

    fn checked(severities: &[Severity]) -> (String, ExitCode) {
        let now = Timestamp::UNIX_EPOCH;
        let mut snapshot = Engine::new("ci", 1, now).snapshot();
        (snapshot.ec2, snapshot.waiting.complete, snapshot.waiting.total) = (Knowledge::Known, true, 4);
        let trouble = |severity: &Severity| {
            let reason = TroubleReason::BootsFail { in_a_row: 3, last: "a|b\nc".into(), until: None };
            Trouble::at(now, *severity, Some(RunnerName::new("spot")), now, Some(4), reason)
        };
        snapshot.verdict = Verdict::of(severities.iter().map(trouble).collect());
        let mut out = Vec::new();
        let code = check(Ok(snapshot), &mut out).unwrap();
        (String::from_utf8(out).unwrap(), code)
    }

    #[test]
    fn a_verdict_is_a_line_with_figures_and_a_code() {
        let (text, code) = checked(&[]);
        assert_eq!(text, "RUNNER-FLEET OK - nothing is wrong | critical=0 warning=0 jobs_waiting=4 workers=0\n");
        assert_eq!(code, ExitCode::SUCCESS);
        let (text, code) = checked(&[Severity::Warning, Severity::Critical]);
        let begins = "RUNNER-FLEET CRITICAL - spot: boots fail, 3 in a row (last: a/b c), for 0s; 4 jobs wait; ";
        assert!(text.starts_with(begins), "{text}");
        assert!(text.ends_with("(1 more: `runner-fleet status`) | critical=1 warning=1 jobs_waiting=4 workers=0\n"));
        assert_eq!((text.lines().count(), text.matches('|').count(), code), (1, 1, ExitCode::from(2)));
        assert_eq!(checked(&[Severity::Warning]).1, ExitCode::from(1));
    }

    #[test]
    fn what_nobody_knows_is_not_ok() {
        let mut out = Vec::new();
        let unborn = Engine::new("ci", 1, Timestamp::UNIX_EPOCH).snapshot();
        assert_eq!(check(Ok(unborn), &mut out).unwrap(), ExitCode::from(3));
        let failed = CliError::Failed("cannot reach the service at /run/x".into());
        assert_eq!(check(Err(failed), &mut out).unwrap(), ExitCode::from(3));
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("RUNNER-FLEET UNKNOWN - nothing is known of EC2 yet: the first listing is awaited | ")
        );
        assert!(text.ends_with("RUNNER-FLEET UNKNOWN - cannot reach the service at /run/x\n"), "{text}");
    }
}
