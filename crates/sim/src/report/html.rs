//! The report as one file that needs no other: numbers, plots, assumptions; light or dark as the reader's screen is.

use std::fmt::Write as _;

use super::{Chart, Curve, Report, point};
use crate::bound::{self, Bound};
use crate::figures::Figures;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --dim: #57606a; }
@media (prefers-color-scheme: dark) { :root { --dim: #9aa4af; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child, td:first-child, table.left td { text-align: left; white-space: pre-wrap; }
figure { margin: 2rem 0; } figure svg { width: 100%; height: auto; background: none !important; color: inherit !important; }
figcaption, .dim { color: var(--dim); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
";

/// The whole page.
pub fn page(report: &Report, charts: &[Chart]) -> String {
    let workload = &report.workload;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Simulation of {name}</title>\n<style>{STYLE}</style>\n<h1>Simulation of {name}</h1>\n\
         <p>{jobs} jobs, queued from {from} to {to}; seed {seed}. Everything below was measured in a simulated world, except \
         what is listed as assumed at the end.</p>\n",
        name = escaped(&workload.name),
        jobs = workload.jobs,
        from = workload.from,
        to = workload.to,
        seed = report.seed,
    );
    // Writing to a string does not fail.
    if let Some(wait) = report.equal_wait_seconds {
        let _ = writeln!(
            page,
            "<p>Every policy's idle count and idle time were tuned: the cheapest with which 95 of 100 jobs wait at most {wait} s.</p>"
        );
    }
    for note in &workload.notes {
        let _ = writeln!(page, "<p class=\"dim\">{}</p>", escaped(note));
    }
    for sentence in report.result.iter().chain(&report.warnings) {
        let _ = writeln!(page, "<p><strong>{}</strong></p>", escaped(sentence));
    }
    page.push_str(&table(&report.policies));
    page.push_str(&curves(&report.curves));
    for chart in charts {
        let _ = writeln!(page, "<figure>{}<figcaption>{}</figcaption></figure>", chart.svg, escaped(&chart.caption));
    }
    page.push_str("<h2>Assumed</h2>\n<table class=\"left\">\n");
    for one in &report.assumed {
        let (what, value, source) = (escaped(one.what), escaped(&one.value), escaped(one.source));
        let _ = writeln!(page, "<tr><td>{what}<td>{value}<td class=\"dim\">{source}");
    }
    page.push_str("</table>\n</html>\n");
    page
}

fn table(policies: &[Figures]) -> String {
    let mut table = String::from("<table>\n<tr><th>");
    for one in policies {
        let _ = write!(table, "<th>{}", escaped(&one.policy));
    }
    for (name, cell) in rows() {
        let _ = write!(table, "\n<tr><td>{name}");
        for one in policies {
            let _ = write!(table, "<td>{}", escaped(&cell(one)));
        }
    }
    table.push_str("\n</table>\n");
    table
}

/// Cost against waits; empty where no curve was asked for.
fn curves(curves: &[Curve]) -> String {
    let Some(first) = curves.first() else { return String::new() };
    let mut table = String::from("<h2>Cost at equal waits</h2>\n<table>\n<tr><th>95 of 100 jobs wait at most");
    for one in curves {
        let _ = write!(table, "<th>{}", escaped(&one.policy));
    }
    for (at, target) in first.points.iter().enumerate() {
        let _ = write!(table, "\n<tr><td>{} s", target.target_seconds);
        for cell in curves.iter().map(|one| one.points.get(at).map(point)) {
            let _ = write!(table, "<td>{}", escaped(&cell.unwrap_or_default()));
        }
    }
    table.push_str("\n</table>\n");
    table
}

/// A line of the table: its name, and what it says of a policy.
type Row = (&'static str, fn(&Figures) -> String);

/// The lines of the table, for page and terminal alike.
pub fn rows() -> Vec<Row> {
    vec![
        ("jobs done", |one| format!("{} of {}", one.jobs.done, one.jobs.queued)),
        ("lost, without a machine, open", |one| {
            format!("{}, {}, {}", one.jobs.lost, one.jobs.no_machine, one.jobs.open)
        }),
        ("wait, mean", |one| format!("{:.1} s", one.wait_seconds.mean)),
        ("wait p50", |one| format!("{:.1} s", one.wait_seconds.p50)),
        ("wait p95", |one| format!("{:.1} s", one.wait_seconds.p95)),
        ("wait p99", |one| format!("{:.1} s", one.wait_seconds.p99)),
        ("longest wait", |one| format!("{:.0} s", one.wait_seconds.max)),
        ("job-hours waited", |one| format!("{:.1}", one.wait_seconds.job_hours)),
        ("cost", |one| format!("${:.2}", one.cost_usd.total)),
        ("  spot", |one| format!("${:.2}", one.cost_usd.spot)),
        ("  on demand", |one| format!("${:.2}", one.cost_usd.on_demand)),
        ("  disks", |one| format!("${:.2}", one.cost_usd.ebs)),
        ("  of it not at work", |one| format!("${:.2}", one.cost_usd.not_used)),
        ("cost of 1,000 jobs", |one| format!("${:.2}", one.cost_usd.per_job * 1000.0)),
        ("slot hours paid for", |one| format!("{:.0}", one.machine_hours.paid)),
        ("  at work", |one| format!("{:.1} %", one.machine_hours.utilisation * 100.0)),
        ("  above a clairvoyant without waits", |one| above(one, |bound| bound.no_wait_hours)),
        ("  above what nobody undercuts at this p95", |one| above(one, |bound| bound.least_hours)),
        ("machines", |one| one.machines.launched.to_string()),
        ("  most at one time", |one| one.machines.peak.to_string()),
        ("  interrupted by EC2", |one| one.machines.interrupted.to_string()),
        ("jobs queued again after that", |one| one.jobs.again.to_string()),
        ("hours of work lost by that", |one| format!("{:.1}", one.machines.lost_hours)),
        ("calls to EC2", |one| calls(one, "ec2")),
        ("calls to GitLab", |one| calls(one, "gitlab")),
    ]
}

fn above(one: &Figures, least: fn(&Bound) -> f64) -> String {
    let hours = one.machine_hours.paid;
    one.bound.as_ref().map_or_else(String::new, |bound| format!("{:+.1} %", bound::above(hours, least(bound))))
}

fn calls(one: &Figures, to: &str) -> String {
    one.calls.iter().filter(|(kind, _)| kind.starts_with(to)).map(|(_, count)| count).sum::<u64>().to_string()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
