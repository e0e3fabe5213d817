//! Workers' host keys: derived, never stored, pinned before the first byte.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use secrecy::SecretString;
use sha2::Sha256;

/// Keep these derivations apart from each other and from any other use of the manager's key, and version them.
const OF_TEMPLATE: &[u8] = b"runner-fleet worker host key v1";
const OF_WORKER: &[u8] = b"runner-fleet host key of one worker v1";

/// An SSH host key pair of workers: that of a launch template, or one worker's own.
///
/// `seed = HMAC-SHA256(manager's private key, purpose ‖ 0 ‖ runner [‖ 0 ‖ instance])`, taken as an ed25519 seed. So nothing
/// has to be stored or looked up: the same names give the same key after every restart and for a second manager with the
/// same key, the same launch template (whose content hash does not change), and a pinned key that is known before the
/// worker exists. Nobody can derive from one of them the manager's key or another one of them.
///
/// The names must outlive the configuration: a worker's runner, as its tag tells it.
///
/// **The template's** may stand in user-data, although nothing secret may, because it is good for one thing: the first
/// contact, over which its worker is given one of its own. Whoever reads it (a job that reaches the metadata service, an AWS
/// user who may describe the instance) has nothing, unless he also takes over the address of a worker before that.
///
/// **A worker's own** lies in no user-data. All that matters is said to a worker only after it has proved that it has this one.
#[derive(Clone, Debug)]
pub struct HostKey {
    /// For `/etc/ssh/ssh_host_ed25519_key`, in OpenSSH's format, without a passphrase.
    pub private_openssh: SecretString,
    /// `ssh-ed25519 AAAA…`, without a comment.
    pub public_openssh: String,
}

impl HostKey {
    /// What the launch template of a runner gives its workers.
    pub(super) fn of_template(manager_seed: &[u8; 32], runner: &str) -> Self {
        Self::derive(manager_seed, OF_TEMPLATE, &[runner])
    }

    /// One worker's own. An instance's id holds no zero byte, so that no two pairs of names run together to the same text.
    pub(super) fn of_worker(manager_seed: &[u8; 32], runner: &str, worker: &str) -> Self {
        Self::derive(manager_seed, OF_WORKER, &[runner, worker])
    }

    fn derive(manager_seed: &[u8; 32], purpose: &[u8], names: &[&str]) -> Self {
        let mut block = [0; 64]; // HMAC's own padding, done here because a key of the full length cannot be refused
        block.iter_mut().zip(manager_seed).for_each(|(to, from)| *to = *from);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        mac.update(purpose);
        for name in names {
            mac.update(&[0]);
            mac.update(name.as_bytes());
        }
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&mac.finalize().into_bytes().into()));
        let pair = PrivateKey::new(pair, "");
        let private = pair.as_ref().ok().and_then(|pair| pair.to_openssh(LineEnding::LF).ok());
        let public = pair.as_ref().ok().and_then(|pair| pair.public_key().to_openssh().ok());
        Self {
            private_openssh: SecretString::from(private.map(|text| text.to_string()).unwrap_or_default()),
            public_openssh: public.map(|text| text.trim().to_owned()).unwrap_or_default(),
        }
    }
}

/// A host key that a connection accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPublicKey(PublicKey);

impl HostPublicKey {
    /// From `ssh-ed25519 AAAA… [comment]`; `None` when it is anything else.
    pub fn parse(openssh: &str) -> Option<Self> {
        let key = PublicKey::from_openssh(openssh).ok()?;
        key.key_data().is_ed25519().then_some(Self(key))
    }

    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.0)
    }

    /// `ssh-ed25519 AAAA…`, without a comment.
    pub(super) fn to_openssh(&self) -> String {
        PublicKey::from(self.0.key_data().clone()).to_openssh().map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    pub(super) fn is(&self, other: &PublicKey) -> bool {
        self.0.key_data() == other.key_data()
    }
}

pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_same_manager_and_names_give_the_same_bytes() {
        for derive in [|| HostKey::of_template(&[7; 32], "arm"), || HostKey::of_worker(&[7; 32], "arm", "i-1")] {
            let (one, two) = (derive(), derive());
            assert_eq!(one.public_openssh, two.public_openssh);
            assert_eq!(one.private_openssh.expose_secret(), two.private_openssh.expose_secret());
        }
    }

    #[test]
    fn every_manager_runner_and_worker_has_another_key() {
        let keys = [
            HostKey::of_template(&[7; 32], "a"),
            HostKey::of_template(&[7; 32], "b"),
            HostKey::of_template(&[8; 32], "a"),
            HostKey::of_worker(&[7; 32], "a", "i-1"),
            HostKey::of_worker(&[7; 32], "a", "i-2"),
            HostKey::of_worker(&[7; 32], "b", "i-1"),
            HostKey::of_worker(&[8; 32], "a", "i-1"),
            HostKey::of_worker(&[7; 32], "ai", "-1"),
            HostKey::of_worker(&[7; 32], "a", ""),
        ];
        let different: BTreeSet<String> = keys.iter().map(|key| key.public_openssh.clone()).collect();
        assert_eq!(different.len(), keys.len());
    }

    /// A change here would make every running worker unreachable after an upgrade.
    #[test]
    fn the_derivation_stays_as_it_is() {
        insta::assert_snapshot!(HostKey::of_template(&[7; 32], "graviton-spot").public_openssh);
        insta::assert_snapshot!(HostKey::of_worker(&[7; 32], "graviton-spot", "i-0123456789abcdef0").public_openssh);
    }

    #[test]
    fn the_private_half_fits_the_public_and_is_not_printed() {
        let key = HostKey::of_worker(&[7; 32], "a", "i-1");

        let private = PrivateKey::from_openssh(key.private_openssh.expose_secret()).unwrap();

        assert!(HostPublicKey::parse(&key.public_openssh).unwrap().is(private.public_key()));
        assert!(!format!("{key:?}").contains("BEGIN"), "{key:?}");
    }

    #[test]
    fn only_ed25519_is_pinned() {
        assert_eq!(HostPublicKey::parse(""), None);
        assert_eq!(HostPublicKey::parse("ssh-ed25519 AAAA"), None);
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";
        assert!(PublicKey::from_openssh(ecdsa).is_ok());
        assert_eq!(HostPublicKey::parse(ecdsa), None);
    }
}
