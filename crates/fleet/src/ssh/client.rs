//! How the SSH library is set up: few algorithms, small buffers, pinned keys, nothing accepted from the server.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::client::{ChannelOpenHandle, Config, DisconnectReason, Handler, Msg, Session};
use russh::keys::{Algorithm, PublicKey, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Channel, Preferred, SshId, cipher, compression, kex, mac};

use super::error::SshError;
use super::host::{HostPublicKey, fingerprint};

/// How much the server may send ahead on one channel. A report has under 1 KiB, so this never slows us down, and it
/// bounds what a worker that has gone mad can make us hold.
const WINDOW_BYTES: u32 = 32 * 1024;

/// The largest packet that we accept; the library's read buffer of every session grows to the largest one seen.
const PACKET_BYTES_MAX: u32 = 8 * 1024;

/// Messages buffered per channel before the socket is left unread: with the packet size, the bound for a channel that
/// nobody reads is 32 KiB.
const CHANNEL_MESSAGES: usize = 4;

const KEX: &[kex::Name] = &[
    // The classical one first: a key exchange lives in memory until it ends, and 1,000 of them start at once.
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::MLKEM768X25519_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

const CIPHERS: &[cipher::Name] = &[cipher::CHACHA20_POLY1305, cipher::AES_256_GCM, cipher::AES_256_CTR];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256];

/// Our side's settings.
pub(super) fn config(keepalive_interval: Duration, keepalive_max: usize) -> Config {
    Config {
        client_id: SshId::Standard(Cow::Borrowed("SSH-2.0-runner-fleet")),
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES_MAX,
        channel_buffer_size: CHANNEL_MESSAGES,
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Borrowed(&[Algorithm::Ed25519]),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        keepalive_interval: Some(keepalive_interval),
        keepalive_max,
        nodelay: true,
        ..Config::default()
    }
}

/// Checks the host key and refuses whatever the server asks for on its own.
pub(super) struct Client {
    pinned: Vec<HostPublicKey>,
    shown: Arc<OnceLock<HostPublicKey>>,
    ended: Arc<OnceLock<String>>,
}

impl Client {
    /// `shown` receives the one of the pinned keys that the server has, `ended` the reason when an established connection
    /// ends.
    pub(super) fn new(
        pinned: Vec<HostPublicKey>,
        shown: Arc<OnceLock<HostPublicKey>>,
        ended: Arc<OnceLock<String>>,
    ) -> Self {
        Self { pinned, shown, ended }
    }

    /// The pinned key that this is; after the first key exchange only that one, as a connection is with one server.
    fn known(&self, key: &PublicKey) -> Option<&HostPublicKey> {
        match self.shown.get() {
            Some(first) => Some(first).filter(|first| first.is(key)),
            None => self.pinned.iter().find(|pinned| pinned.is(key)),
        }
    }

    /// A server without any ed25519 key is another server.
    pub(super) fn read_handshake_error(pinned: &[HostPublicKey], error: SshFailure) -> SshError {
        match error {
            SshFailure(_, true) => SshError::WrongHostKey {
                expected: fingerprints(pinned),
                got: "a key of another kind than ed25519".into(),
            },
            SshFailure(error, _) => error,
        }
    }
}

fn fingerprints(keys: &[HostPublicKey]) -> String {
    keys.iter().map(HostPublicKey::fingerprint).collect::<Vec<_>>().join(" or ")
}

/// Our error, and whether it is that the server has no host key of our kind.
#[derive(Debug)]
pub(super) struct SshFailure(pub(super) SshError, bool);

impl From<russh::Error> for SshFailure {
    fn from(error: russh::Error) -> Self {
        let no_common_key = matches!(error, russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. });
        Self(error.into(), no_common_key)
    }
}

impl Handler for Client {
    type Error = SshFailure;

    /// Called after the server has proved that it holds the key, and before anything of ours is sent but the public
    /// half of the key exchange.
    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, SshFailure> {
        let got = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => match self.known(key) {
                Some(known) => {
                    let _ = self.shown.set(known.clone()); // at a later key exchange it is there already
                    return Ok(true);
                }
                None => fingerprint(key),
            },
            PublicKeyOrCertificate::Certificate(_) => "a certificate".into(),
        };
        Err(SshFailure(SshError::WrongHostKey { expected: fingerprints(&self.pinned), got }, false))
    }

    async fn disconnected(&mut self, reason: DisconnectReason<SshFailure>) -> Result<(), SshFailure> {
        let (text, answer) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                (super::error::plain(&format!("the other side said: {}", info.message)), Ok(()))
            }
            DisconnectReason::Error(error) => (error.0.to_string(), Err(error)),
        };
        let _ = self.ended.set(text); // the first reason is the right one
        answer
    }

    // A worker has no business opening channels towards its manager. Dropping the handle refuses; the library's default
    // accepts, and would let a hostile worker fill our memory with channels.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshFailure> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshFailure> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshFailure> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshFailure> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshFailure> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshFailure> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshFailure> {
        drop(reply);
        Ok(())
    }
}
