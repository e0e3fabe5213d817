//! What the file refers to on this machine and what is not there, as far as this process can see: the service may have
//! another environment, and other rights.

use std::path::Path;

use secrecy::ExposeSecret;

use super::files;
use super::load::Loaded;
use super::on_trouble::is_web_address;
use super::problems::Warning;
use super::secret::{Found, Secret, TokenOf};

/// As the service reads it. Source: docs/configuration.md.
const CA_FILE_BYTES_MAX: u64 = 16 * 1024;

impl Loaded {
    /// A warning for each secret and certificate that cannot be read from here, or is of another kind; in file order.
    pub fn unresolved(&self) -> Vec<Warning> {
        let mut warnings = self.unheard();
        for (index, runner) in self.config.runners.iter().enumerate() {
            let path = |key: &str| format!("runners[{index}].{key}");
            let mut tell = |key: &str, message: Option<String>| {
                warnings.extend(message.map(|message| self.places.warning(path(key), message)));
            };
            tell("token", doubt(&runner.token, TokenOf::Runner));
            let ca_file = runner.tls_ca_file.as_ref();
            let unread = ca_file.and_then(|path| {
                let error = files::read_small(path, CA_FILE_BYTES_MAX).err()?;
                Some(format!("as seen from this shell: cannot read {}: {error}", path.display()))
            });
            tell("tls-ca-file", unread);
            tell("fleet.api_token", runner.fleet.api_token.as_ref().and_then(|token| doubt(token, TokenOf::Api)));
        }
        warnings
    }
}

impl Loaded {
    /// Where nobody would be told of troubles.
    fn unheard(&self) -> Vec<Warning> {
        let Some(on_trouble) = &self.config.fleet.on_trouble else { return Vec::new() };
        let url = on_trouble.url.as_ref().and_then(|url| match url.resolve_local() {
            Err(error) => Some(format!("as seen from this shell: {error}")),
            Ok(Found::Here(text)) if !is_web_address(text.expose_secret()) => {
                Some(format!("the secret of {url} is no web address; write \"https://…\" there"))
            }
            Ok(Found::Here(_) | Found::InParameter(_)) => None,
        });
        let program = on_trouble.command.first().filter(|program| !Path::new(program).is_file());
        let program = program.map(|program| format!("as seen from this shell: there is no program {program}"));
        let told = [("command", program), ("url", url)].into_iter();
        told.filter_map(|(key, message)| Some(self.places.warning(format!("fleet.on_trouble.{key}"), message?)))
            .collect()
    }
}

fn doubt(secret: &Secret, of: TokenOf) -> Option<String> {
    match secret.resolve_local() {
        Err(error) => Some(format!("as seen from this shell: {error}")),
        // One that stands in the file was looked at when it was read.
        Ok(Found::Here(_)) if matches!(secret, Secret::Literal(_)) => None,
        Ok(Found::Here(token)) => {
            of.other_kind(token.expose_secret()).map(|why| format!("the secret of {secret}: {why}"))
        }
        Ok(Found::InParameter(_)) => None,
    }
}
