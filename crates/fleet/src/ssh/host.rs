//! Workers' host keys: derived, never stored, pinned before the first byte.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use secrecy::SecretString;
use sha2::Sha256;

/// Keeps this derivation apart from any other use of the manager's key, and versions it.
const PURPOSE: &[u8] = b"runner-fleet worker host key v1";

/// The SSH host key pair that a worker is given at launch.
///
/// `seed = HMAC-SHA256(manager's private key, PURPOSE ‖ 0 ‖ label)`, taken as an ed25519 seed. So nothing has to be
/// stored or looked up: the same label gives the same key after every restart, the same launch template (whose content
/// hash does not change), and a pinned key that is known before the worker exists.
///
/// The label must outlive the configuration: a worker's runner name, as its tag tells it, so that workers of a section
/// that was removed can still be reached and drained.
///
/// Why the private half may stand in user-data although nothing secret may: it proves a worker to its manager and opens
/// nothing, neither a worker nor the manager. Whoever can read it (a job that reaches the metadata service, an AWS user
/// who may describe the instance) could at worst pose as a worker of this runner to the manager, from inside the
/// network, and would be sent the runner's configuration: the runner token, which the same jobs could read from a
/// worker that they own. Nobody can derive from it the manager's key or the host key of another label.
#[derive(Clone, Debug)]
pub struct HostKey {
    /// For `/etc/ssh/ssh_host_ed25519_key`, in OpenSSH's format, without a passphrase.
    pub private_openssh: SecretString,
    /// `ssh-ed25519 AAAA…`, without a comment.
    pub public_openssh: String,
}

impl HostKey {
    pub(super) fn derive(manager_seed: &[u8; 32], label: &str) -> Self {
        let mut block = [0; 64]; // HMAC's own padding, done here because a key of the full length cannot be refused
        block.iter_mut().zip(manager_seed).for_each(|(to, from)| *to = *from);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        mac.update(PURPOSE);
        mac.update(&[0]);
        mac.update(label.as_bytes());
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

/// The only host key that a connection accepts.
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
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_same_manager_and_label_give_the_same_bytes() {
        let one = HostKey::derive(&[7; 32], "graviton-spot");
        let two = HostKey::derive(&[7; 32], "graviton-spot");

        assert_eq!(one.public_openssh, two.public_openssh);
        assert_eq!(one.private_openssh.expose_secret(), two.private_openssh.expose_secret());
    }

    #[test]
    fn another_manager_or_label_gives_another_key() {
        let one = HostKey::derive(&[7; 32], "a").public_openssh;

        assert_ne!(one, HostKey::derive(&[7; 32], "b").public_openssh);
        assert_ne!(one, HostKey::derive(&[8; 32], "a").public_openssh);
    }

    /// A change here would make every running worker unreachable after an upgrade.
    #[test]
    fn the_derivation_stays_as_it_is() {
        let key = HostKey::derive(&[7; 32], "graviton-spot");

        insta::assert_snapshot!(key.public_openssh);
    }

    #[test]
    fn the_private_half_fits_the_public_and_is_not_printed() {
        let key = HostKey::derive(&[7; 32], "a");

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
