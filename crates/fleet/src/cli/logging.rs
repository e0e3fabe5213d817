//! Where log lines go: stderr, as sentences with their ids behind them, or as JSON.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use runner_fleet_config::{LogFormat, LogLevel};

use super::Global;

/// Starts logging; `level` and `format` are the configuration's, which the command line overrides.
///
/// Our own lines follow the level; libraries say only what is wrong, because their debug lines may hold what our own
/// never do (request headers, bodies).
pub(super) fn start(global: &Global, level: LogLevel, format: LogFormat) {
    let ours = global.level_over(level);
    let filter = Targets::new()
        .with_target("runner_fleet", ours)
        // Prints the insides of an answer that it cannot read; we say the same as a sentence.
        .with_target("aws_smithy_runtime", LevelFilter::OFF)
        // Seven lines for a host that has no region; we say the same as one.
        .with_target("aws_config", LevelFilter::OFF)
        .with_default(ours.min(LevelFilter::WARN));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match global.log_format.map_or(format, LogFormat::from) {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        // The journal writes the time itself.
        LogFormat::Text if under_journal() => layer.with_ansi(false).without_time().boxed(),
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    // A second start (tests) keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}

fn under_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}
