//! SSM parameters: tokens (decrypted), and image ids.
//!
//! API: <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>

use secrecy::SecretString;

use super::client::Aws;
use super::error::AwsError;

const GET: &str = "ssm:GetParameter";

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

    /// Reads a parameter's value.
    pub(crate) async fn parameter(&self, name: &str) -> Result<String, AwsError> {
        let doing = format!("read the SSM parameter {name}");
        let answer =
            self.ssm.get_parameter().name(name).with_decryption(true).send().await.map_err(self.failed(&doing, GET));
        let answer = answer.map_err(|error| match error {
            error if error.is_not_found() => AwsError::Unfit(format!(
                "the SSM parameter {name} does not exist in {}; check its name and region",
                self.region()
            )),
            error => error,
        })?;
        match answer.parameter().and_then(|parameter| parameter.value()) {
            Some(value) => Ok(value.trim().to_owned()),
            None => Err(self.unusable(doing, GET, "it holds no value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

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
}
