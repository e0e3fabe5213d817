//! `demo`: the whole service against a simulated GitLab and EC2, in this process: no account, no network, no root.

mod closing;
mod edge;
mod run;
mod screen;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;

use runner_fleet_sim::Summary;

use super::output::write_json;
use super::{CliError, service};
use run::Demo;
use screen::Screen;

/// Between two pictures: a few a second, as much as an eye follows.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(250);

/// Show the whole service at work in a simulated world.
///
/// A morning's pipelines of a simulated GitLab meet a simulated EC2 with boot times, a capacity shortage and spot
/// interruptions. The engine, the driver and the dashboard are the real ones; GitLab, EC2 and the workers are not: no
/// account, no network and no root are needed, and nothing costs anything.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet demo\n  runner-fleet demo --speed 60 --listen 127.0.0.1:9252\n  \
                        runner-fleet demo --json | jq .wait_seconds.p95")]
pub(super) struct DemoArgs {
    /// How many times as fast as real time; the morning has a little more than three hours.
    #[arg(long, value_name = "N", default_value_t = 300.0, value_parser = speed)]
    speed: f64,
    /// Chance: fixes which jobs come when, how long they run, and what fails. What comes of it differs a little from run to
    /// run: the service is the real one, and lives by the clock.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::simulate::seed)]
    seed: u64,
    /// Print the summary as one JSON object, and all else to stderr.
    #[arg(long)]
    json: bool,
    /// Keep the dashboard open after the summary, until interrupted.
    #[arg(long)]
    keep_running: bool,
    /// Where the dashboard listens; port 0: any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// From slower than a film to what a small machine can follow.
fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=1000.0).contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err("write a number from 0.1 to 1000".into()),
    }
}

/// Runs the morning; fails unless every job got done and no law was broken.
pub(super) fn run(args: &DemoArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<ExitCode, CliError> {
    service::block_on(show(args, out, err))?
}

async fn show(args: &DemoArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<ExitCode, CliError> {
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        CliError::failed(&format!("listen on {} for the dashboard (choose another with --listen)", args.listen), &error)
    })?;
    let address = listener.local_addr().map_err(|error| CliError::failed("read the dashboard's address", &error))?;
    let mut demo = Demo::open(args.speed, args.seed, listener);
    let (summary, ended) = {
        let mut screen = if args.json { Screen::on_stderr(err) } else { Screen::on_stdout(out) };
        screen.greet(args, address)?;
        let ended = watch(&mut demo, &mut screen).await?;
        (demo.summary(), ended)
    };
    tell(args, &summary, out)?;
    if !ended.interrupted && args.keep_running {
        let said = format!("The dashboard stays at http://{address}/ until you press Ctrl-C.");
        if args.json {
            writeln!(err, "{said}")?
        } else {
            writeln!(out, "{said}")?
        }
        interruption().await;
    }
    demo.close().await;
    let well = !ended.interrupted && summary.jobs.failed == 0 && summary.laws_broken == 0;
    for broken in demo.broken() {
        writeln!(err, "broken: {broken}")?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(args: &DemoArgs, summary: &Summary, out: &mut dyn Write) -> Result<(), CliError> {
    if args.json {
        write_json(out, summary)?
    } else {
        write!(out, "{}", closing::text(summary))?
    }
    Ok(out.flush()?)
}

/// How the morning ended.
struct Ended {
    /// By a person, before its time.
    interrupted: bool,
}

async fn watch(demo: &mut Demo, screen: &mut Screen<'_>) -> Result<Ended, CliError> {
    let mut pictures = tokio::time::interval(SNAPSHOT_EVERY);
    pictures.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let interruption = interruption();
    tokio::pin!(interruption);
    loop {
        tokio::select! {
            () = &mut interruption => {
                screen.close()?;
                return Ok(Ended { interrupted: true });
            }
            _ = pictures.tick() => {}
        }
        let over = demo.judge().await;
        screen.show(demo)?;
        if over {
            screen.close()?;
            return Ok(Ended { interrupted: false });
        }
    }
}

/// Ctrl-C, or a polite end by somebody else.
async fn interruption() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without signals there is nothing to wait for.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_must_make_sense() {
        assert_eq!(speed("60"), Ok(60.0));
        for nonsense in ["0", "-1", "NaN", "inf", "fast", "1e9"] {
            assert!(speed(nonsense).is_err(), "{nonsense}");
        }
    }
}
