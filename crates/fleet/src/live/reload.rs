//! A changed configuration, taken over while the service runs. A file that is refused changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use runner_fleet_config as config;
use runner_fleet_config::Config;
use runner_fleet_engine::trouble::chain;

use super::clock::Clock;
use super::regions::Regions;
use super::setup::{Setup, Unready};

/// How often runners that are not ready, or whose token is refused, are tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// Reads the file again whenever `asked` says so, until nobody can ask any more. Meanwhile runners that are not ready are
/// tried again, and the secrets of those are read again whose token GitLab refuses.
pub async fn reload_when_asked(
    path: PathBuf,
    mut asked: mpsc::Receiver<()>,
    setup: watch::Sender<Arc<Setup>>,
    regions: Regions,
    seed: u64,
    clock: Clock,
) {
    tell(&[], &setup.borrow().unready);
    loop {
        let current = Arc::clone(&setup.borrow());
        let fresh = tokio::select! {
            asked = asked.recv() => match asked {
                None => return,
                Some(()) => attempt(&path, &current, &regions, seed).await.inspect(|_| {
                    info!("reloaded the configuration {}", path.display());
                }),
            },
            () = clock.sleep(AGAIN) => {
                if !current.may_heal() {
                    continue;
                }
                let again = Setup::prepare(current.config.clone(), Some(&current), &regions, seed).await;
                match again {
                    Ok(fresh) if fresh.differs_from(&current) => Ok(fresh),
                    Ok(_) | Err(_) => continue,
                }
            }
        };
        match fresh {
            Ok(fresh) => {
                tell(&current.unready, &fresh.unready);
                setup.send_replace(Arc::new(fresh));
            }
            Err(why) => error!("configuration not reloaded, keeping the previous one: {why}"),
        }
    }
}

/// Tells which runners are not ready that were not so before, and which are ready now.
fn tell(before: &[Unready], now: &[Unready]) {
    for Unready { runner, trouble } in now {
        if !before.iter().any(|before| before.runner == *runner && before.trouble.class == trouble.class) {
            warn!(
                runner.name = %runner, trouble.class = trouble.class.as_str(),
                "runner not ready, serving the others: {trouble}; trying again every {} s", AGAIN.as_secs()
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
    let config = reread(path, &current.config)?;
    Setup::prepare(config, Some(current), regions, seed).await.map_err(|error| format!("cannot {}", chain(&error)))
}

/// Reads the file again; tells warnings to the log.
///
/// # Errors
/// The report of its problems, or why it cannot follow on `current` without a restart.
pub(super) fn reread(path: &Path, current: &Config) -> Result<Config, String> {
    let loaded = config::load(path).map_err(|problems| problems.to_string())?;
    loaded.warnings.iter().for_each(|warning| warn!("{}: {warning}", path.display()));
    check_what_stays(current, &loaded.config)?;
    Ok(loaded.config)
}

/// Some keys are read at the start alone.
fn check_what_stays(old: &Config, new: &Config) -> Result<(), String> {
    if old.fleet.manager != new.fleet.manager {
        return Err(format!(
            "fleet.manager was changed from {} to {}: the workers of {} would be nobody's; drain them first, and \
             restart the service",
            old.fleet.manager, new.fleet.manager, old.fleet.manager
        ));
    }
    for key in counts_from_the_next_start(old, new) {
        warn!("{key} was changed: the new value counts from the next restart on");
    }
    Ok(())
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
        ] {
            assert_eq!(told(from, to), [key]);
        }
        assert_eq!(told("concurrent = 50", "concurrent = 60"), [""; 0]);
    }
}
