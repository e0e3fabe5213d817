//! `doctor`: is everything there that the service and its workers need?

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use serde_json::json;

use crate::doctor::{Diagnosis, Finding, Verdict, examine};
use crate::live::clock::Clock;
use runner_fleet_engine::RunnerName;

use super::output::{OutputStyle, write_json};
use super::{CliError, Global, service};

/// Check the live environment step by step: tokens, runner, image, network, rights, quota, ECR login; change nothing.
///
/// Asks GitLab and AWS as the service does, with this user's credentials, and tries launches as dry runs. Where a worker
/// runs, it is asked over SSH, and the ECR login is tried there. Exit code 1 when a step has failed. Call it as the service's
/// user or as root: others may not read the manager's SSH key and the secrets' files.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  sudo runner-fleet doctor\n  runner-fleet doctor --runner graviton-spot\n  \
                        runner-fleet doctor --json | jq '.findings[] | select(.verdict == \"failed\")'")]
pub(super) struct DoctorArgs {
    /// Only this runner; may be repeated.
    #[arg(long, value_name = "RUNNER")]
    runner: Vec<String>,
    /// Print the findings as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Looks, and tells each finding when it is there.
pub(super) fn run(global: &Global, args: &DoctorArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let loaded = service::load(global)?;
    for name in &args.runner {
        service::runner_named(&loaded.config, name)?;
    }
    let mut page = Page::new(OutputStyle::of_stdout().color && std::io::stdout().is_terminal());
    let mut told = Ok(());
    let diagnosis = {
        let mut tell = |finding: &Finding| {
            if !args.json && told.is_ok() {
                told = page.tell(finding, out).and_then(|()| out.flush());
            }
        };
        let examined = examine(&loaded.config, &loaded.warnings, &args.runner, Clock::real(), &mut tell);
        service::block_on(examined)?
    };
    told?;
    if args.json {
        write_json(out, &to_json(&diagnosis))?;
    } else {
        writeln!(out, "\n{}", summary(&diagnosis))?;
        if let Some(first) = diagnosis.first_to_mend() {
            writeln!(out, "{}", mend_first(first))?;
        }
    }
    Ok(if diagnosis.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// As `doctor --json` has it.
pub(super) fn to_json(diagnosis: &Diagnosis) -> serde_json::Value {
    json!({
        "version": diagnosis.version,
        "manager": diagnosis.manager,
        "ok": diagnosis.count(Verdict::Ok),
        "warnings": diagnosis.count(Verdict::Warning),
        "failed": diagnosis.count(Verdict::Failed),
        "not_checked": diagnosis.count(Verdict::NotChecked),
        "findings": diagnosis.findings,
    })
}

fn summary(diagnosis: &Diagnosis) -> String {
    let warnings = diagnosis.count(Verdict::Warning);
    format!(
        "{} ok, {warnings} warning{}, {} failed, {} not checked",
        diagnosis.count(Verdict::Ok),
        if warnings == 1 { "" } else { "s" },
        diagnosis.count(Verdict::Failed),
        diagnosis.count(Verdict::NotChecked),
    )
}

/// Steps go from the ground up: what failed first may be why others did.
fn mend_first(finding: &Finding) -> String {
    let of = finding.runner.as_ref().map_or_else(String::new, |runner| format!(" of runner {runner}"));
    let what = finding.advice.as_ref().unwrap_or(&finding.found);
    format!("mend first: {}{of}: {what}", finding.step.as_str())
}

/// The findings as text: a heading for each runner, a line for each finding, and below it what to do. What was told of one
/// runner word for word is not told of its twins again.
struct Page {
    color: bool,
    heading: Option<String>,
    told: Vec<Finding>,
}

impl Page {
    fn new(color: bool) -> Self {
        Self { color, heading: None, told: Vec::new() }
    }

    fn tell(&mut self, finding: &Finding, out: &mut dyn Write) -> std::io::Result<()> {
        let heading = finding.runner.as_ref().map_or_else(|| "manager".to_owned(), |name| format!("runner {name}"));
        if self.heading.as_ref() != Some(&heading) {
            let gap = if self.heading.is_some() { "\n" } else { "" };
            writeln!(out, "{gap}{heading}")?;
            self.heading = Some(heading);
        }
        let Finding { runner: _, step, verdict, found, advice } = finding;
        let style = if self.color { style(*verdict) } else { Style::new() };
        write!(out, "  {style}{:11}{style:#}  {:15}  ", verdict.as_str(), step.as_str())?;
        if let Some(twin) = self.twin(finding) {
            return writeln!(out, "as for runner {twin}");
        }
        writeln!(out, "{found}")?;
        if let Some(advice) = advice {
            writeln!(out, "  {:11}  {:15}  -> {advice}", "", "")?;
        }
        self.told.push(finding.clone());
        Ok(())
    }
}

impl Page {
    /// The runner of which the same was told already, with what to do.
    fn twin(&self, finding: &Finding) -> Option<&RunnerName> {
        finding.advice.as_ref()?;
        let is_twin = |told: &&Finding| Finding { runner: finding.runner.clone(), ..(*told).clone() } == *finding;
        self.told.iter().find(is_twin)?.runner.as_ref()
    }
}

fn style(verdict: Verdict) -> Style {
    let color = match verdict {
        Verdict::Ok => AnsiColor::Green,
        Verdict::Warning => AnsiColor::Yellow,
        Verdict::Failed => AnsiColor::Red,
        Verdict::NotChecked => AnsiColor::BrightBlack,
    };
    color.on_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Step;

    fn page(color: bool) -> String {
        let findings = [
            Finding::ok(Step::Configuration, "good; manager ci, 1 runner"),
            Finding::failed(Step::Image, "the image ami-1 does not exist", "correct `ami`"),
            Finding::not_checked(Step::Worker, "none of its workers runs now"),
        ];
        let mut out = Vec::new();
        let mut page = Page::new(color);
        findings.iter().for_each(|finding| page.tell(finding, &mut out).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_for_each_finding_and_what_to_do_below_it() {
        insta::assert_snapshot!(page(false));
    }

    #[test]
    fn twins_are_told_once_and_what_to_mend_first() {
        let denied = || Finding::failed(Step::SecurityGroups, "1 group; none lets TCP port 22 in", "let it in");
        let [one, two] = ["one", "two"].map(RunnerName::new);
        let alike = Finding::ok(Step::Image, "ami-1 is arm64");
        let findings = [alike.clone().of(&one), denied().of(&one), alike.of(&two), denied().of(&two)];
        let mut out = Vec::new();
        let mut page = Page::new(false);
        findings.iter().for_each(|finding| page.tell(finding, &mut out).unwrap());
        let diagnosis = Diagnosis { version: 1, manager: "ci".to_owned(), findings: findings.into() };
        let first = mend_first(diagnosis.first_to_mend().unwrap());
        insta::assert_snapshot!(format!("{}\n{first}\n", String::from_utf8(out).unwrap()));
    }

    #[test]
    fn colours_are_for_terminals() {
        assert!(!page(false).contains('\u{1b}'));
        assert!(page(true).contains("\u{1b}[31mFAILED"));
    }
}
