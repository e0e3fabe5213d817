//! What can go wrong with AWS, in words that an administrator can act on, and as answers to the callers' questions.
//!
//! An unknown error code is shown as it is. The meaning of codes: EC2 API Reference, "Error codes for the Amazon EC2
//! API"; the texts of denials: EC2 User Guide and `pkg/errors/errors.go` of aws/karpenter-provider-aws.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use runner_fleet_engine::{Failure, FailureClass};
use thiserror::Error;

/// A message is cut after this many characters: an `UnauthorizedOperation` carries some thousand of encoded text.
const MESSAGE_LENGTH_MAX: usize = 300;

/// Why something could not be done on AWS.
#[derive(Debug, Error)]
pub enum AwsError {
    /// Neither the configuration nor the environment, the profile or the instance metadata names a region.
    #[error("no AWS region is known: set `region` in [runners.fleet], or AWS_REGION, or run on an EC2 instance")]
    NoRegion,
    /// A call failed.
    #[error(transparent)]
    Call(Box<CallError>),
    /// AWS has answered, and the configuration does not fit to what it said.
    #[error("{0}")]
    Unfit(String),
    /// AWS has answered, and the answer lacks what must be in it.
    #[error("cannot {doing} in {region}: the answer of {action} is unusable: {what}")]
    Unusable {
        /// What was being done.
        doing: String,
        /// Where.
        region: String,
        /// The call (`ec2:DescribeInstances`).
        action: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

/// A call that failed.
#[derive(Debug, Error)]
#[error("cannot {doing} in {region}: {action} {}", self.told())]
pub struct CallError {
    /// What was being done (`list workers`).
    pub doing: String,
    /// Where.
    pub region: String,
    /// The call, as IAM names it (`ec2:DescribeInstances`).
    pub action: &'static str,
    /// What follows from it.
    pub meaning: Meaning,
    /// AWS's error code; empty when there was no answer.
    pub code: String,
    /// AWS's message, or what broke, in full; `Display` shortens it.
    pub message: String,
}

/// What a failed call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Too many calls: ours or another program's in the same account and region. Back off.
    Throttled,
    /// IAM, the organization or AWS itself forbids it.
    Denied,
    /// There are no credentials, or they could not be loaded: nothing was sent.
    NoCredentials,
    /// What was named does not exist (any more, or not yet: EC2 is eventually consistent).
    NotFound,
    /// Time-out, connection lost, or an unreadable answer: the call may have worked.
    Unanswered,
    /// AWS says that it is unwell.
    ServerFault,
    /// The request is wrong.
    Invalid,
}

impl AwsError {
    /// Whether AWS asks us to slow down.
    pub fn is_throttled(&self) -> bool {
        self.meaning() == Some(Meaning::Throttled)
    }

    /// Whether someone must grant a right (or give credentials) first.
    pub fn is_denied(&self) -> bool {
        matches!(self.meaning(), Some(Meaning::Denied | Meaning::NoCredentials))
    }

    /// Whether something named does not exist.
    pub fn is_not_found(&self) -> bool {
        self.meaning() == Some(Meaning::NotFound)
    }

    /// Whether the same call may work a little later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.meaning(), Some(Meaning::Throttled | Meaning::Unanswered | Meaning::ServerFault))
            || matches!(self, Self::Unusable { .. })
    }

    /// AWS's error code, where it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Call(call) if !call.code.is_empty() => Some(&call.code),
            Self::Call(_) | Self::NoRegion | Self::Unfit(_) | Self::Unusable { .. } => None,
        }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Call(call) => class_of_meaning(call.meaning),
            Self::NoRegion | Self::Unfit(_) => FailureClass::Invalid,
            Self::Unusable { .. } => FailureClass::Other,
        }
    }

    fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Call(call) => Some(call.meaning),
            Self::NoRegion | Self::Unfit(_) | Self::Unusable { .. } => None,
        }
    }
}

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        Self::of(error.class(), &error)
    }
}

impl CallError {
    /// Reads the SDK's error.
    pub(crate) fn read<E>(
        doing: impl Into<String>,
        region: &str,
        action: &'static str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let (meaning, code, message) = read(error);
        Self { doing: doing.into(), region: region.to_owned(), action, meaning, code, message }
    }

    /// The second half of the sentence: what AWS did, and what to do.
    fn told(&self) -> String {
        let (code, message) = (&self.code, shorten(&self.message));
        match self.meaning {
            Meaning::Denied => told_of_denial(code, &message),
            Meaning::Throttled => format!("is throttled ({code}); this passes, unless other programs keep calling EC2"),
            Meaning::NoCredentials => format!(
                "has no credentials: give the manager's instance a profile, or set AWS_PROFILE or AWS_ACCESS_KEY_ID ({message})"
            ),
            Meaning::Unanswered => format!("got no usable answer ({message}); check the network and the endpoint"),
            Meaning::ServerFault => format!("failed on AWS's side ({code} {message}); this passes"),
            Meaning::NotFound | Meaning::Invalid => format!("answered {code}: {message}"),
        }
    }
}

/// Which layer forbids it decides who can help.
fn told_of_denial(code: &str, message: &str) -> String {
    const LAYERS: [(&str, &str); 5] = [
        (
            "explicit deny in a permissions boundary",
            "is denied by a permissions boundary; who manages the role must widen it",
        ),
        (
            "explicit deny in a service control policy",
            "is denied by a service control policy; the organization's administrator must change it",
        ),
        ("Not authorized for images", "is denied for this image; its owner must share it with this account"),
        ("not eligible for Free Tier", "is denied: the account's plan allows only free tier instance types"),
        ("explicit deny", "is denied by an explicit deny in a policy; remove that statement"),
    ];
    if let Some((_, told)) = LAYERS.iter().find(|(sign, _)| message.contains(sign)) {
        return (*told).to_owned();
    }
    match code {
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            "is denied; attach the policy that \"runner-fleet iam-policy\" prints".to_owned()
        }
        _ => format!("is denied ({code}: {message}); check the manager's credentials and the account"),
    }
}

/// What kind of failure an answer with this status and error code is.
pub(super) fn class_of_status(status: u16, code: &str) -> FailureClass {
    class_of_meaning(meaning_of(code, status))
}

fn class_of_meaning(meaning: Meaning) -> FailureClass {
    match meaning {
        Meaning::Throttled => FailureClass::Throttled,
        Meaning::Denied | Meaning::NoCredentials => FailureClass::Denied,
        Meaning::NotFound => FailureClass::NotFound,
        Meaning::Unanswered => FailureClass::Unreachable,
        Meaning::ServerFault => FailureClass::ServerError,
        Meaning::Invalid => FailureClass::Invalid,
    }
}

/// Meaning, code and message of the SDK's error.
fn read<E>(error: &SdkError<E, HttpResponse>) -> (Meaning, String, String)
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let (status, metadata) = (service.raw().status().as_u16(), service.err().meta());
            let message = metadata.message().unwrap_or_default();
            match metadata.code() {
                Some(code) => (meaning_of(code, status), code.to_owned(), message.to_owned()),
                None if status == 429 => (Meaning::Throttled, "HTTP 429".to_owned(), message.to_owned()),
                None if status >= 500 => (Meaning::ServerFault, format!("HTTP {status}"), message.to_owned()),
                None => (Meaning::Unanswered, String::new(), format!("HTTP {status} with a body that is not AWS's")),
            }
        }
        SdkError::TimeoutError(_) => (Meaning::Unanswered, String::new(), "no answer in time".to_owned()),
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            let meaning = match status {
                429 => Meaning::Throttled,
                500.. => Meaning::ServerFault,
                _ => Meaning::Unanswered,
            };
            (meaning, String::new(), format!("HTTP {status}: {}", root_cause(error)))
        }
        SdkError::ConstructionFailure(_) => (Meaning::Invalid, String::new(), root_cause(error)),
        _ => {
            // The SDK reports missing credentials as a failed dispatch; only the chain of causes tells.
            let meaning = if chain(error).any(|cause| cause.to_string().contains("credential")) {
                Meaning::NoCredentials
            } else {
                Meaning::Unanswered
            };
            (meaning, String::new(), root_cause(error))
        }
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn StdError + 'static)| (*cause).source())
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// What an error code means; the HTTP status helps with codes that we have never seen.
fn meaning_of(code: &str, status: u16) -> Meaning {
    const THROTTLED: [&str; 4] = ["Throttl", "RequestLimitExceeded", "TooManyRequests", "BandwidthLimitExceeded"];
    const DENIED: [&str; 10] = [
        "UnauthorizedOperation",
        "AccessDenied",
        "AuthFailure",
        "UnrecognizedClient",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "RequestExpired",
        "OptInRequired",
        "Blocked",
    ];
    const FAULTS: [&str; 6] = [
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailable",
        "Unavailable",
        "RequestTimeout",
    ];
    let is_one_of = |signs: &[&str]| signs.iter().any(|sign| code.contains(sign));
    if is_one_of(&THROTTLED) || code == "EC2ThrottledException" || status == 429 {
        Meaning::Throttled
    } else if is_one_of(&DENIED) {
        Meaning::Denied
    } else if is_one_of(&FAULTS) || status >= 500 {
        Meaning::ServerFault
    } else if code.contains("NotFound") {
        Meaning::NotFound
    } else {
        Meaning::Invalid
    }
}

/// One line, without the encoded part of a denial, of a length that fits a log.
pub(crate) fn shorten(message: &str) -> String {
    let told = message.split("Encoded authorization failure message").next().unwrap_or_default();
    let line = told.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MESSAGE_LENGTH_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(code: &str, message: &str) -> AwsError {
        AwsError::Call(Box::new(CallError {
            doing: "list workers".to_owned(),
            region: "eu-central-1".to_owned(),
            action: "ec2:DescribeInstances",
            meaning: meaning_of(code, 403),
            code: code.to_owned(),
            message: shorten(message),
        }))
    }

    #[test]
    fn a_denial_says_what_to_do() {
        let error =
            denied("UnauthorizedOperation", "You are not authorized. Encoded authorization failure message: Zx");
        assert!(error.is_denied() && !error.is_transient());
        assert_eq!(
            error.to_string(),
            "cannot list workers in eu-central-1: ec2:DescribeInstances is denied; \
             attach the policy that \"runner-fleet iam-policy\" prints"
        );
    }

    #[test]
    fn a_denial_names_the_layer_that_denies() {
        let layers = [
            ("… with an explicit deny in a permissions boundary: arn", "a permissions boundary"),
            ("… with an explicit deny in a service control policy: arn", "service control policy"),
            ("… with an explicit deny in an identity-based policy: arn", "an explicit deny in a policy"),
            ("Not authorized for images: [ami-1]", "for this image"),
            ("The specified instance type is not eligible for Free Tier.", "free tier"),
        ];
        for (message, expected) in layers {
            let told = denied("UnauthorizedOperation", message).to_string();
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn codes_have_a_meaning() {
        let table = [
            ("RequestLimitExceeded", 503, Meaning::Throttled),
            ("Throttling", 400, Meaning::Throttled),
            ("ThrottlingException", 400, Meaning::Throttled),
            ("EC2ThrottledException", 503, Meaning::Throttled),
            ("Anything", 429, Meaning::Throttled),
            ("UnauthorizedOperation", 403, Meaning::Denied),
            ("AccessDeniedException", 400, Meaning::Denied),
            ("AuthFailure", 401, Meaning::Denied),
            ("ExpiredTokenException", 400, Meaning::Denied),
            ("InternalError", 500, Meaning::ServerFault),
            ("NeverSeen", 502, Meaning::ServerFault),
            ("InvalidSubnetID.NotFound", 400, Meaning::NotFound),
            ("ParameterNotFound", 400, Meaning::NotFound),
            ("InvalidParameterValue", 400, Meaning::Invalid),
        ];
        for (code, status, meaning) in table {
            assert_eq!(meaning_of(code, status), meaning, "{code}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let short = shorten(&"ä ".repeat(1_000));
        assert_eq!(short.chars().count(), MESSAGE_LENGTH_MAX + 1);
    }
}
