//! The signals that mean something to the service: SIGTERM and SIGINT end it, SIGHUP makes it read its configuration again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Catches the signals from now on: the first that ends the service cancels `stop`, and those that ask for a reload arrive
/// at the channel.
///
/// # Errors
/// The system does not let us catch them.
pub(super) fn mind(stop: CancellationToken) -> io::Result<mpsc::Receiver<()>> {
    let signals = Signals::catch()?;
    let (ask_reload, reload_asked) = mpsc::channel(1);
    tokio::spawn(signals.until_the_end(ask_reload, stop));
    Ok(reload_asked)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn until_the_end(mut self, reload: mpsc::Sender<()>, stop: CancellationToken) {
        let name = loop {
            tokio::select! {
                _ = self.terminate.recv() => break "SIGTERM",
                _ = self.interrupt.recv() => break "SIGINT",
                // One reload that waits is enough: it reads the file as it is then.
                _ = self.hangup.recv() => drop(reload.try_send(())),
            }
        };
        info!("{name}: stopping");
        stop.cancel();
    }
}
