//! What EC2 and GitLab say when they do not answer.

use runner_fleet_engine::{Trouble, TroubleClass};

/// EC2 asks for fewer calls.
pub(super) fn limit_exceeded() -> Trouble {
    Trouble::new(TroubleClass::Throttled, "RequestLimitExceeded")
}

/// A listing of several pages breaks off.
pub(super) fn cut_listing() -> Trouble {
    Trouble::new(TroubleClass::Unreachable, "page 2 of 3: connection reset by peer")
}

/// There is no such image.
pub(super) fn no_such_image() -> Trouble {
    Trouble::new(TroubleClass::NotFound, "no such image")
}

/// GitLab asks for fewer requests.
pub(super) fn too_many_requests() -> Trouble {
    Trouble::new(TroubleClass::Throttled, "429 Too Many Requests")
}

/// The proxy in front of GitLab has nobody to ask.
pub(super) fn bad_gateway() -> Trouble {
    Trouble::new(TroubleClass::ServerError, "502 Bad Gateway")
}

/// GitLab is down for maintenance.
pub(super) fn unavailable() -> Trouble {
    Trouble::new(TroubleClass::ServerError, "503 Service Unavailable")
}

/// A page of somebody else's.
pub(super) fn not_json() -> Trouble {
    Trouble::new(TroubleClass::Other, "the body is not JSON")
}

/// GitLab does not know it, or does not show it to this token.
pub(super) fn not_found() -> Trouble {
    Trouble::new(TroubleClass::NotFound, "404 Not Found")
}
