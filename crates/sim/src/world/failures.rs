//! What EC2 and GitLab say when they do not answer.

use runner_fleet_engine::{Failure, FailureClass};

/// EC2 asks for fewer calls.
pub(super) fn limit_exceeded() -> Failure {
    Failure::new(FailureClass::Throttled, "RequestLimitExceeded")
}

/// A listing of several pages breaks off.
pub(super) fn cut_listing() -> Failure {
    Failure::new(FailureClass::Unreachable, "page 2 of 3: connection reset by peer")
}

/// There is no such image.
pub(super) fn no_such_image() -> Failure {
    Failure::new(FailureClass::NotFound, "no such image")
}

/// GitLab asks for fewer requests.
pub(super) fn too_many_requests() -> Failure {
    Failure::new(FailureClass::Throttled, "429 Too Many Requests")
}

/// The proxy in front of GitLab has nobody to ask.
pub(super) fn bad_gateway() -> Failure {
    Failure::new(FailureClass::ServerError, "502 Bad Gateway")
}

/// GitLab is down for maintenance.
pub(super) fn unavailable() -> Failure {
    Failure::new(FailureClass::ServerError, "503 Service Unavailable")
}

/// A page of somebody else's.
pub(super) fn not_json() -> Failure {
    Failure::new(FailureClass::Other, "the body is not JSON")
}

/// GitLab does not know it, or does not show it to this token.
pub(super) fn not_found() -> Failure {
    Failure::new(FailureClass::NotFound, "404 Not Found")
}
