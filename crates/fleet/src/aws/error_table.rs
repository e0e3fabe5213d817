//! The one table from EC2's launch error codes to what follows from them.
//!
//! Sources: EC2 API Reference, "Error codes for the Amazon EC2 API"; `pkg/errors/errors.go` of
//! aws/karpenter-provider-aws; `scale_errors` of github-aws-runners/terraform-aws-github-runner.

use super::error::Meaning;
use runner_fleet_engine::LaunchErrorClass::{self, Capacity, Denied, Invalid, Quota, Slow, Subnet, Unsupported};

/// Codes with a meaning of their own.
const TABLE: [(&str, LaunchErrorClass); 31] = [
    ("InsufficientInstanceCapacity", Capacity),
    ("UnfulfillableCapacity", Capacity),
    ("InsufficientCapacityOnHost", Capacity),
    ("InsufficientHostCapacity", Capacity),
    ("InsufficientReservedInstanceCapacity", Capacity),
    ("ReservationCapacityExceeded", Capacity),
    ("InsufficientCapacity", Capacity),
    // The highest price offered is below the spot price: no different from "none left at that price".
    ("SpotMaxPriceTooLow", Capacity),
    ("Unsupported", Unsupported),
    ("UnsupportedOperation", Unsupported),
    ("InsufficientFreeAddressesInSubnet", Subnet),
    ("InsufficientFreeAddresses", Subnet),
    ("MaxSpotInstanceCountExceeded", Quota),
    ("VcpuLimitExceeded", Quota),
    ("InstanceLimitExceeded", Quota),
    ("VolumeLimitExceeded", Quota),
    ("MaxIOPSLimitExceeded", Quota),
    ("MaxFleetCountExceeded", Quota),
    ("MaxSpotFleetRequestCountExceeded", Quota),
    ("TargetCapacityLimitExceededException", Quota),
    ("ResourceLimitExceeded", Quota),
    // A new account's region is verified for some minutes.
    ("PendingVerification", Quota),
    // The role for spot is missing and may not be made: closes spot alone, and a person must act, as with a quota.
    ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", Quota),
    ("OptInRequired", Denied),
    ("InvalidLaunchTemplateId.NotFound", Invalid),
    ("InvalidLaunchTemplateName.NotFoundException", Invalid),
    ("InvalidAMIID.NotFound", Invalid),
    ("InvalidUserData.Malformed", Invalid),
    ("InvalidBlockDeviceMapping", Invalid),
    ("InvalidFleetConfiguration", Invalid),
    // The configuration was changed between a launch and its repetition: the first one was accepted, the next look
    // shows what it gave, and nothing is wrong with the runner.
    ("IdempotentParameterMismatch", Slow),
];

/// What an error code of an offering or of a whole launch means.
///
/// `of_offering`: the error names an offering. A code in no list slows down: nobody knows whether repeating helps.
pub(crate) fn class_of(code: &str, message: &str, of_offering: bool) -> LaunchErrorClass {
    if of_offering && (code == "InvalidFleetConfiguration" || message.contains("is not supported in your requested")) {
        return Unsupported; // the type does not exist in that zone; the request as a whole is sound
    }
    if let Some((_, class)) = TABLE.iter().find(|(known, _)| *known == code) {
        return *class;
    }
    if ["UnauthorizedOperation", "AccessDenied", "AuthFailure", "Blocked"].iter().any(|sign| code.starts_with(sign)) {
        return Denied;
    }
    if ["Throttl", "RequestLimitExceeded", "EC2Throttled", "Internal", "ServiceUnavailable", "RequestTimeout"]
        .iter()
        .any(|sign| code.starts_with(sign))
    {
        return Slow;
    }
    if code.starts_with("Invalid") || code.starts_with("Missing") || code.starts_with("Malformed") {
        return Invalid;
    }
    if code.ends_with("LimitExceeded") || code.ends_with("CountExceeded") {
        return Quota;
    }
    Slow
}

/// What a failed CreateFleet call means.
pub(crate) fn class_of_call(meaning: Meaning, code: &str, message: &str) -> LaunchErrorClass {
    match meaning {
        Meaning::Throttled | Meaning::Unanswered => Slow,
        Meaning::NoCredentials => Denied,
        Meaning::Denied if class_of(code, message, false) == Slow => Denied,
        // Capacity errors come with HTTP 500: the code says more than the status.
        Meaning::ServerFault | Meaning::Denied | Meaning::NotFound | Meaning::Invalid => class_of(code, message, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_unknown_to_a_zone_is_unsupported_there() {
        assert_eq!(class_of("InvalidFleetConfiguration", "", true), Unsupported);
        assert_eq!(class_of("InvalidFleetConfiguration", "", false), Invalid);
        let text = "Your requested instance type (c8g.large) is not supported in your requested Availability Zone";
        assert_eq!(class_of("InvalidParameterValue", text, true), Unsupported);
    }

    #[test]
    fn families_of_codes_are_understood_without_a_list() {
        let families = [
            ("InvalidKeyPair.NotFound", Invalid),
            ("InvalidParameterCombination", Invalid),
            ("MissingParameter", Invalid),
            ("AccessDeniedException", Denied),
            ("UnauthorizedOperation", Denied),
            ("SomethingLimitExceeded", Quota),
            ("RequestLimitExceeded", Slow),
            ("InternalError", Slow),
            ("NeverSeenBefore", Slow),
            ("", Slow),
        ];
        for (code, class) in families {
            assert_eq!(class_of(code, "", false), class, "{code}");
        }
    }

    #[test]
    fn the_meaning_of_a_call_decides_before_its_code() {
        assert_eq!(class_of_call(Meaning::Unanswered, "", ""), Slow);
        assert_eq!(class_of_call(Meaning::ServerFault, "HTTP 502", ""), Slow);
        assert_eq!(class_of_call(Meaning::ServerFault, "InsufficientInstanceCapacity", ""), Capacity);
        assert_eq!(class_of_call(Meaning::NoCredentials, "", ""), Denied);
        assert_eq!(class_of_call(Meaning::Denied, "ExpiredToken", ""), Denied);
        assert_eq!(class_of_call(Meaning::Denied, "AuthFailure.ServiceLinkedRoleCreationNotPermitted", ""), Quota);
        assert_eq!(class_of_call(Meaning::NotFound, "InvalidAMIID.NotFound", ""), Invalid);
    }
}
