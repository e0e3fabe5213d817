//! Who we are, and what the workers' role may do. For `doctor` alone: the service's own policy allows none of it but
//! `sts:GetCallerIdentity`, which needs no right.
//!
//! APIs: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetInstanceProfile.html>,
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>.

use std::collections::BTreeMap;

use aws_sdk_iam::types::PolicyEvaluationDecisionType;

use super::client::Aws;
use super::error::AwsError;

const IDENTITY: &str = "sts:GetCallerIdentity";
const PROFILE: &str = "iam:GetInstanceProfile";
const SIMULATE: &str = "iam:SimulatePrincipalPolicy";

/// Whose credentials are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's 12 digits.
    pub account: String,
    /// The user or assumed role.
    pub arn: String,
}

/// A role of an instance profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSeen {
    /// Its ARN.
    pub arn: String,
    /// Who may assume it: the policy document, decoded.
    pub trust: String,
}

impl RoleSeen {
    /// Whether EC2 may give it to instances, as far as its trust policy names EC2 at all.
    pub fn trusts_ec2(&self) -> bool {
        self.trust.contains("ec2.amazonaws.com") || self.trust.contains("\"ec2.")
    }
}

impl Aws {
    /// Whose credentials we have.
    ///
    /// # Errors
    /// There are none, or they are not valid.
    pub async fn identity(&self) -> Result<Identity, AwsError> {
        let doing = "ask whose credentials these are";
        let answer = self.sts().get_caller_identity().send().await.map_err(self.failed(doing, IDENTITY))?;
        match (answer.account(), answer.arn()) {
            (Some(account), Some(arn)) => Ok(Identity { account: account.to_owned(), arn: arn.to_owned() }),
            _ => Err(self.unusable(doing, IDENTITY, "it names nobody")),
        }
    }

    /// The role of an instance profile, by the profile's name or ARN; `None`: the profile holds none.
    ///
    /// # Errors
    /// The call failed; `is_not_found()` when there is no such profile.
    pub async fn role_of(&self, profile: &str) -> Result<Option<RoleSeen>, AwsError> {
        let name = profile.rsplit('/').next().unwrap_or(profile);
        let doing = format!("look up the instance profile {name}");
        let answer = self.iam().get_instance_profile().instance_profile_name(name).send().await;
        let answer = answer.map_err(self.failed(doing, PROFILE)).map_err(|error| match error {
            // IAM's own word for it.
            AwsError::Call(mut call) if call.code == "NoSuchEntity" => {
                call.meaning = super::error::Meaning::NotFound;
                AwsError::Call(call)
            }
            error => error,
        })?;
        let role = answer.instance_profile().and_then(|profile| profile.roles().first());
        Ok(role.map(|role| RoleSeen {
            arn: role.arn().to_owned(),
            trust: percent_decoded(role.assume_role_policy_document().unwrap_or_default()),
        }))
    }

    /// Which of these actions the policies of a role allow on a resource. Policies of resources and of the organization are
    /// only looked at as far as IAM's simulator does.
    ///
    /// # Errors
    /// The call failed.
    pub async fn simulate(
        &self,
        role: &str,
        actions: &[&str],
        resource: &str,
    ) -> Result<BTreeMap<String, bool>, AwsError> {
        let answer = self
            .iam()
            .simulate_principal_policy()
            .policy_source_arn(role)
            .set_action_names(Some(actions.iter().map(|action| (*action).to_owned()).collect()))
            .resource_arns(resource)
            .send()
            .await
            .map_err(self.failed("try the policies of the workers' role", SIMULATE))?;
        let results = answer.evaluation_results().iter();
        let allowed = |decision: &PolicyEvaluationDecisionType| *decision == PolicyEvaluationDecisionType::Allowed;
        Ok(results.map(|result| (result.eval_action_name().to_owned(), allowed(result.eval_decision()))).collect())
    }
}

/// IAM hands documents over as RFC 3986 encodes them.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let pair = hex(rest.next()).zip(hex(rest.next()));
        bytes.push(pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()).unwrap_or(b'?'));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, aws_with};

    #[test]
    fn documents_are_decoded_whatever_they_hold() {
        assert_eq!(percent_decoded("%7B%22a%22%3A%20%22b%22%7D"), "{\"a\": \"b\"}");
        for odd in ["%", "%4", "%zz", "%E4"] {
            assert!(!percent_decoded(odd).is_empty());
        }
    }

    #[tokio::test]
    async fn a_role_and_its_rights_are_read() {
        let profile = "<GetInstanceProfileResponse><GetInstanceProfileResult><InstanceProfile><Path>/</Path>\
            <InstanceProfileName>ci-worker</InstanceProfileName><InstanceProfileId>AIPA</InstanceProfileId>\
            <Arn>arn:aws:iam::123456789012:instance-profile/ci-worker</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>\
            <Roles><member><Path>/</Path><RoleName>r</RoleName><RoleId>AROA</RoleId>\
            <Arn>arn:aws:iam::123456789012:role/r</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>\
            <AssumeRolePolicyDocument>%7B%22Service%22%3A%22ec2.amazonaws.com%22%7D</AssumeRolePolicyDocument>\
            </member></Roles></InstanceProfile></GetInstanceProfileResult></GetInstanceProfileResponse>";
        let simulated = "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>\
            <member><EvalActionName>ecr:GetAuthorizationToken</EvalActionName><EvalDecision>allowed</EvalDecision></member>\
            <member><EvalActionName>ecr:BatchGetImage</EvalActionName><EvalDecision>implicitDeny</EvalDecision></member>\
            </EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>";
        let missing = "<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>no</Message></Error></ErrorResponse>";
        let (aws, _) = aws_with([Answer::xml(200, profile), Answer::xml(200, simulated), Answer::xml(404, missing)]);

        let role = aws.role_of("ci-worker").await.unwrap().unwrap();
        let rights = aws.simulate(&role.arn, &["ecr:GetAuthorizationToken", "ecr:BatchGetImage"], "*").await.unwrap();

        assert_eq!((role.arn.as_str(), role.trusts_ec2()), ("arn:aws:iam::123456789012:role/r", true));
        assert!(rights["ecr:GetAuthorizationToken"]);
        assert!(!rights["ecr:BatchGetImage"]);
        assert!(aws.role_of("nobody").await.unwrap_err().is_not_found());
    }
}
