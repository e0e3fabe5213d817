//! Stands for `src/gitlab/protected.rs`, which needs the HTTP client: the one type that rows of jobs are read into.

/// What a job runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ref {
    pub(crate) name: String,
    pub(crate) tag: bool,
    pub(crate) merge_request: bool,
}
