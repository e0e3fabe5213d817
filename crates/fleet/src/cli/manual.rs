//! Manual pages: clap's sections, and those that a manual page has besides.

use std::io::Write;

use clap::Command;
use clap_mangen::Man;

use super::CliError;

/// What the exit codes mean; of every command.
const EXIT_STATUS: &[(&str, &str)] =
    &[("0", "Done."), ("1", "Tried, and failed."), ("2", "Bad usage, or a bad configuration; nothing was done.")];

const FILES: &[(&str, &str)] = &[
    ("/etc/runner-fleet/config.toml", "The configuration."),
    ("/etc/runner-fleet/environment", "Variables of the service: AWS_REGION, HTTPS_PROXY, those of env: secrets."),
    ("/var/lib/runner-fleet/manager_ed25519", "The manager's SSH key."),
    ("/var/lib/runner-fleet/orders.json", "Pauses and drains that stand."),
    ("/run/runner-fleet/control.sock", "The control socket, for the members of its group."),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("RUNNER_FLEET_CONFIG", "The configuration, where --config is not given."),
    ("AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL …", "As for every program that uses AWS' SDK."),
    ("HTTPS_PROXY, NO_PROXY", "The way to GitLab and AWS."),
    ("NO_COLOR", "Not empty: no colours."),
];

/// Writes the page of a command; `program` is the whole program, for what it is seen also with.
pub(super) fn page(command: &Command, program: &Command, out: &mut dyn Write) -> Result<(), CliError> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let source = concat!("runner-fleet ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone().after_help("")).manual("runner-fleet manual").source(source);
    man.render_title(out)?;
    man.render_name_section(out)?;
    write_synopsis(command, out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(out)?;
    }
    let lines: Vec<&str> = examples
        .lines()
        .filter(|line| line.starts_with("  "))
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .collect();
    if !lines.is_empty() {
        writeln!(out, ".SH EXAMPLES\n.nf")?;
        for line in lines {
            writeln!(out, "{}", escaped(line))?;
        }
        writeln!(out, ".fi")?;
    }
    for (title, entries) in [("EXIT STATUS", EXIT_STATUS), ("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT)] {
        writeln!(out, ".SH {}", if title.contains(' ') { format!("\"{title}\"") } else { title.to_owned() })?;
        for (what, meaning) in entries {
            writeln!(out, ".TP\n\\fB{}\\fR\n{}", escaped(what), escaped(meaning))?;
        }
    }
    let told = program.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    let pages = told.map(|command| format!("runner-fleet-{}", command.get_name()));
    let others = std::iter::once("runner-fleet".to_owned()).chain(pages).filter(|page| *page != name);
    let others: Vec<String> = others.map(|page| format!("\\fB{}\\fR(1)", escaped(&page))).collect();
    writeln!(out, ".SH \"SEE ALSO\"\n{}", others.join(", "))?;
    Ok(())
}

/// As `--help` has it: clap's own section names every option, and no value of any.
fn write_synopsis(command: &Command, out: &mut dyn Write) -> Result<(), CliError> {
    let usage = command.clone().render_usage().to_string();
    writeln!(out, ".SH SYNOPSIS\n.nf")?;
    for line in usage.trim_start_matches("Usage:").lines() {
        writeln!(out, "{}", escaped(line.trim()))?;
    }
    writeln!(out, ".fi")?;
    Ok(())
}

/// Text that roff takes for nothing but text.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roff_reads_text_as_text() {
        assert_eq!(escaped(".x --y"), "\\&.x \\-\\-y");
        assert_eq!(escaped("a\\b"), "a\\\\b");
    }
}
