//! SSM parameters: tokens (decrypted), image ids, and the one secret that we keep there ourselves.
//!
//! API: <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>,
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>. PutParameter without
//! `Overwrite` makes a parameter or says that it exists: of several calls at once one makes it. What we make carries no
//! tag: with one, the call would need the right `ssm:AddTagsToResource` too.

use aws_sdk_ssm::types::{Parameter, ParameterType};
use secrecy::{ExposeSecret, SecretString};

use super::client::Aws;
use super::error::AwsError;

const GET: &str = "ssm:GetParameter";
const PUT: &str = "ssm:PutParameter";

/// What keeping a secret came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is there.
    Now,
    /// Something was there before; nothing was changed.
    Before,
}

impl Aws {
    /// Reads a secret, decrypted; surrounding white space is dropped, as people paste it.
    ///
    /// # Errors
    /// The call failed, or the parameter is empty. No error carries the value.
    pub async fn secret(&self, name: &str) -> Result<SecretString, AwsError> {
        let value = self.parameter(name).await?;
        if value.is_empty() {
            return Err(AwsError::Unfit(format!("the SSM parameter {name} in {} is empty", self.region())));
        }
        Ok(SecretString::from(value))
    }

    /// Reads a secret that we keep ourselves; `None`: there is no such parameter yet.
    ///
    /// # Errors
    /// The call failed, or the parameter is no SecureString. No error carries the value.
    pub async fn kept_secret(&self, name: &str) -> Result<Option<SecretString>, AwsError> {
        let parameter = match self.get(name).await {
            Ok(parameter) => parameter,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        if parameter.r#type() != Some(&ParameterType::SecureString) {
            return Err(AwsError::Unfit(format!(
                "the SSM parameter {name} in {} is no SecureString, and a secret that lies there in clear is none; name \
                 another one, or delete it, and a SecureString is made",
                self.region()
            )));
        }
        self.value(name, parameter).map(|value| Some(SecretString::from(value)))
    }

    /// Keeps a secret in a parameter of this name, encrypted with the account's own key for SSM, if there is none.
    ///
    /// # Errors
    /// The call failed; it may have worked where there was no answer.
    pub async fn keep_secret(&self, name: &str, description: &str, value: &SecretString) -> Result<Kept, AwsError> {
        let request = self.ssm.put_parameter().name(name).description(description).overwrite(false);
        let answer = request.r#type(ParameterType::SecureString).value(value.expose_secret()).send().await;
        match answer.map_err(self.failed(format!("make the SSM parameter {name}"), PUT)) {
            Ok(_) => Ok(Kept::Now),
            Err(error) if error.code() == Some("ParameterAlreadyExists") => Ok(Kept::Before),
            Err(error) => Err(error),
        }
    }

    /// The error for a parameter that exists, as SSM has just said, and cannot be found.
    pub(crate) fn not_yet(&self, name: &str) -> AwsError {
        self.unusable(reading(name), GET, "the parameter exists and is not found; this passes")
    }

    /// Reads a parameter's value.
    pub(crate) async fn parameter(&self, name: &str) -> Result<String, AwsError> {
        let answer = self.get(name).await.map_err(|error| match error {
            error if error.is_not_found() => AwsError::Unfit(format!(
                "the SSM parameter {name} does not exist in {}; check its name and region",
                self.region()
            )),
            error => error,
        })?;
        self.value(name, answer)
    }

    async fn get(&self, name: &str) -> Result<Parameter, AwsError> {
        let answer = self.ssm.get_parameter().name(name).with_decryption(true).send().await;
        let answer = answer.map_err(self.failed(reading(name), GET))?;
        answer.parameter.ok_or_else(|| self.unusable(reading(name), GET, "it holds no parameter"))
    }

    fn value(&self, name: &str, parameter: Parameter) -> Result<String, AwsError> {
        match parameter.value {
            Some(value) => Ok(value.trim().to_owned()),
            None => Err(self.unusable(reading(name), GET, "it holds no value")),
        }
    }
}

fn reading(name: &str) -> String {
    format!("read the SSM parameter {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, aws_with};

    #[tokio::test]
    async fn a_secret_is_read_and_not_shown() {
        let answer = r#"{"Parameter":{"Name":"/ci/token","Type":"SecureString","Value":"glrt-abc\n"}}"#;
        let (aws, replay) = aws_with([Answer::json(200, answer)]);

        let secret = aws.secret("/ci/token").await.unwrap();

        assert_eq!(secret.expose_secret(), "glrt-abc");
        assert!(!format!("{secret:?}").contains("glrt"));
        assert_eq!(replay.bodies(), [r#"{"Name":"/ci/token","WithDecryption":true}"#]);
    }

    #[tokio::test]
    async fn a_missing_parameter_is_named() {
        let (aws, _) = aws_with([Answer::json(400, r#"{"__type":"ParameterNotFound"}"#)]);
        let error = aws.secret("/ci/token").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the SSM parameter /ci/token does not exist in eu-central-1; check its name and region"
        );
    }

    #[tokio::test]
    async fn a_denied_parameter_says_what_to_do() {
        let (aws, _) = aws_with([Answer::json(400, r#"{"__type":"AccessDeniedException","message":"no"}"#)]);
        let error = aws.secret("/ci/token").await.unwrap_err();
        assert!(error.is_denied(), "{error:?}");
    }

    #[tokio::test]
    async fn a_kept_secret_is_read_only_from_a_secure_string() {
        let of = |kind: &str| format!(r#"{{"Parameter":{{"Name":"/ci/key","Type":"{kind}","Value":"sesame\n"}}}}"#);
        let (aws, _) = aws_with([
            Answer::json(200, &of("SecureString")),
            Answer::json(200, &of("String")),
            Answer::json(200, &of("StringList")),
            Answer::json(400, r#"{"__type":"ParameterNotFound"}"#),
            Answer::json(400, r#"{"__type":"AccessDeniedException","message":"no"}"#),
            Answer::json(200, r#"{"Parameter":{"Name":"/ci/key","Type":"SecureString"}}"#),
            Answer::json(200, "{}"),
        ]);

        let secret = aws.kept_secret("/ci/key").await.unwrap().unwrap();
        assert_eq!(secret.expose_secret(), "sesame");
        assert!(!format!("{secret:?}").contains("sesame"));
        for _ in ["String", "StringList"] {
            let error = aws.kept_secret("/ci/key").await.unwrap_err();
            assert!(error.to_string().contains("/ci/key in eu-central-1 is no SecureString"), "{error}");
            assert!(!format!("{error} {error:?}").contains("sesame"));
        }
        assert!(aws.kept_secret("/ci/key").await.unwrap().is_none());
        assert!(aws.kept_secret("/ci/key").await.unwrap_err().is_denied());
        for told in ["it holds no value", "it holds no parameter"] {
            let error = aws.kept_secret("/ci/key").await.unwrap_err();
            assert!(error.to_string().contains(told) && error.is_transient(), "{error}");
        }
    }

    #[tokio::test]
    async fn a_secret_is_kept_where_there_is_none_and_never_shown() {
        let (aws, replay) = aws_with([
            Answer::json(200, r#"{"Tier":"Standard","Version":1}"#),
            Answer::json(400, r#"{"__type":"ParameterAlreadyExists","message":"sesame exists"}"#),
            Answer::json(400, r#"{"__type":"AccessDeniedException","message":"no"}"#),
        ]);
        let secret = SecretString::from("sesame");
        let keep = async || aws.keep_secret("/ci/key", "a key", &secret).await;

        assert_eq!(keep().await.unwrap(), Kept::Now);
        assert_eq!(keep().await.unwrap(), Kept::Before);
        let denied = keep().await.unwrap_err();

        assert!(
            denied
                .to_string()
                .contains("cannot make the SSM parameter /ci/key in eu-central-1: ssm:PutParameter is denied"),
            "{denied}"
        );
        assert!(!format!("{denied} {denied:?}").contains("sesame"));
        let sent =
            r#"{"Name":"/ci/key","Description":"a key","Value":"sesame","Type":"SecureString","Overwrite":false}"#;
        assert_eq!(replay.bodies()[0], sent);
    }
}
