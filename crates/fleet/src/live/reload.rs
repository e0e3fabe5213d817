//! A changed configuration, taken over while the service runs. A file that is refused changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use crate::control::{Answer, RefusalKind};
use runner_fleet_config as config;
use runner_fleet_config::Config;
use runner_fleet_engine::failure::chain;

use super::clock::Clock;
use super::regions::Regions;
use super::setup::{Setup, Unready};

/// How often runners that are not ready, or whose token is refused, are tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// Reads the file again whenever `asked` says so, until nobody can ask any more, and whenever a wish comes, which is answered
/// with what came of it. Meanwhile runners that are not ready are
/// tried again, and the secrets of those are read again whose token GitLab refuses.
pub async fn reload_when_asked(
    path: PathBuf,
    mut asked: mpsc::Receiver<()>,
    mut wishes: mpsc::Receiver<oneshot::Sender<Answer>>,
    setup: watch::Sender<Arc<Setup>>,
    regions: Regions,
    seed: u64,
    clock: Clock,
) {
    tell(&[], &setup.borrow().unready);
    loop {
        let current = Arc::clone(&setup.borrow());
        let mut reply: Option<oneshot::Sender<Answer>> = None;
        let fresh = tokio::select! {
            asked = asked.recv() => match asked {
                None => return,
                Some(()) => read(&path, &current, &regions, seed).await,
            },
            Some(wish) = wishes.recv() => {
                reply = Some(wish);
                read(&path, &current, &regions, seed).await
            }
            () = clock.sleep(AGAIN) => {
                if !current.may_heal() {
                    continue;
                }
                let again = Setup::prepare(current.config.clone(), Some(&current), &regions, seed).await;
                match again {
                    Ok(fresh) if fresh.differs_from(&current) => Ok(Reread { fresh, remarks: Vec::new() }),
                    Ok(_) | Err(_) => continue,
                }
            }
        };
        let answer = match fresh {
            Ok(Reread { fresh, remarks }) => {
                tell(&current.unready, &fresh.unready);
                let answer = taken_over(&path, &fresh, &remarks);
                setup.send_replace(Arc::new(fresh));
                answer
            }
            Err(refused) => {
                error!("configuration not reloaded, keeping the previous one: {}", refused.why);
                refused.answer()
            }
        };
        if let Some(reply) = reply {
            // The operator may have gone: the log says the same.
            let _ = reply.send(answer);
        }
    }
}

/// A file that was read and may be taken over.
struct Reread {
    fresh: Setup,
    /// What there is to say of it nevertheless.
    remarks: Vec<String>,
}

/// Why a file is not taken over.
pub(super) struct Refused {
    why: String,
    kind: RefusalKind,
}

impl Refused {
    /// For the operator who asked.
    pub(super) fn answer(self) -> Answer {
        let why = format!("the configuration was not reloaded, and the previous one holds: {}", self.why);
        Answer::Refused { why, kind: self.kind }
    }

    /// For the log.
    pub(super) fn why(&self) -> &str {
        &self.why
    }
}

/// For the operator who asked.
fn taken_over(path: &Path, fresh: &Setup, remarks: &[String]) -> Answer {
    let unready = fresh.unready.iter().map(|Unready { runner, failure }| format!("{runner} is not ready: {failure}"));
    let lines: Vec<String> = unready.chain(remarks.iter().cloned()).collect();
    let runners = fresh.settings.runners.len();
    let s = if runners == 1 { "" } else { "s" };
    let told = format!("reloaded {}: {runners} runner{s}", path.display());
    Answer::done(std::iter::once(told).chain(lines).collect::<Vec<_>>().join("\n"))
}

async fn read(path: &Path, current: &Setup, regions: &Regions, seed: u64) -> Result<Reread, Refused> {
    let (config, remarks) = reread(path, &current.config)?;
    let fresh = Setup::prepare(config, Some(current), regions, seed)
        .await
        .map_err(|error| Refused { why: format!("cannot {}", chain(&error)), kind: RefusalKind::Other })?;
    info!(event = "reloaded", "reloaded the configuration {}", path.display());
    Ok(Reread { fresh, remarks })
}

/// Tells which runners are not ready that were not so before, and which are ready now.
fn tell(before: &[Unready], now: &[Unready]) {
    for Unready { runner, failure } in now {
        if !before.iter().any(|before| before.runner == *runner && before.failure.class == failure.class) {
            warn!(
                runner.name = %runner, failure.class = failure.class.as_str(),
                "runner not ready, serving the others: {failure}; trying again every {} s", AGAIN.as_secs()
            );
        }
    }
    for Unready { runner, .. } in before {
        if !now.iter().any(|now| now.runner == *runner) {
            info!(runner.name = %runner, "runner is ready");
        }
    }
}

/// Reads the file and prepares what it says; tells warnings to the log.
///
/// # Errors
/// The report, or the sentence, that says why the present setup is to be kept.
pub async fn attempt(path: &Path, current: &Setup, regions: &Regions, seed: u64) -> Result<Setup, String> {
    let read = read(path, current, regions, seed).await;
    read.map(|Reread { fresh, remarks: _ }| fresh).map_err(|refused| refused.why)
}

/// Reads the file again; what there is to say of it nevertheless is told to the log, too.
///
/// # Errors
/// The report of its problems, or why it cannot follow on `current` without a restart.
pub(super) fn reread(path: &Path, current: &Config) -> Result<(Config, Vec<String>), Refused> {
    let refused = |why: String| Refused { why, kind: RefusalKind::BadConfiguration };
    let loaded = config::load(path).map_err(|problems| refused(problems.to_string()))?;
    let warnings = loaded.warnings.iter().map(|warning| format!("{}: {warning}", path.display()));
    let stays = check_what_stays(current, &loaded.config).map_err(refused)?;
    let remarks: Vec<String> = warnings.chain(stays).collect();
    remarks.iter().for_each(|remark| warn!("{remark}"));
    Ok((loaded.config, remarks))
}

/// Some keys are read at the start alone; those that were changed.
fn check_what_stays(old: &Config, new: &Config) -> Result<Vec<String>, String> {
    if old.fleet.manager != new.fleet.manager {
        return Err(format!(
            "fleet.manager was changed from {} to {}: the workers of {} would be nobody's; drain them first, and \
             restart the service",
            old.fleet.manager, new.fleet.manager, old.fleet.manager
        ));
    }
    let told = |key| format!("{key} was changed: the new value counts from the next restart on");
    Ok(counts_from_the_next_start(old, new).map(told).collect())
}

fn counts_from_the_next_start(old: &Config, new: &Config) -> impl Iterator<Item = &'static str> {
    let keys = [
        ("listen_address", old.listen_address != new.listen_address),
        ("log_level", old.log_level != new.log_level),
        ("log_format", old.log_format != new.log_format),
        ("fleet.state_dir", old.fleet.state_dir != new.fleet.state_dir),
        ("fleet.ssh_key", old.fleet.ssh_key != new.fleet.ssh_key),
        ("the region of fleet.ssh_key", key_region(old) != key_region(new)),
        ("fleet.control_socket", old.fleet.control_socket != new.fleet.control_socket),
        ("fleet.page_hosts", old.fleet.page_hosts != new.fleet.page_hosts),
        ("fleet.otlp", old.fleet.otlp != new.fleet.otlp),
    ];
    keys.into_iter().filter_map(|(key, changed)| changed.then_some(key))
}

/// It is that of the first runner, and matters where there is a parameter before and after.
fn key_region(config: &Config) -> Option<&str> {
    config.ssh_key_parameter().and_then(|parameter| parameter.region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_start_alone_reads_is_told() {
        let complete = include_str!("../../../../config/complete.toml");
        let config = |text: &str| config::parse(text, "config.toml").unwrap().config;
        let told = |from: &str, to: &str| {
            assert!(complete.contains(from), "{from}");
            let (old, new) = (config(complete), config(&complete.replacen(from, to, 1)));
            counts_from_the_next_start(&old, &new).collect::<Vec<_>>()
        };
        for (from, to, key) in [
            ("127.0.0.1:9253", "127.0.0.1:9254", "listen_address"),
            ("log_level = \"debug\"", "log_level = \"warn\"", "log_level"),
            ("log_format = \"json\"", "log_format = \"text\"", "log_format"),
            ("/srv/runner-fleet", "/srv/other", "fleet.state_dir"),
            ("/ci/manager-ssh-key", "/ci/other", "fleet.ssh_key"),
            ("region = \"eu-central-1\"", "region = \"eu-west-1\"", "the region of fleet.ssh_key"),
            ("/run/ci/control.sock", "/run/ci/other.sock", "fleet.control_socket"),
            ("runner-fleet.example.com", "other.example.com", "fleet.page_hosts"),
            ("collector.example.com", "other.example.com", "fleet.otlp"),
        ] {
            assert_eq!(told(from, to), [key]);
        }
        assert_eq!(told("concurrent = 50", "concurrent = 60"), [""; 0]);
    }
}
