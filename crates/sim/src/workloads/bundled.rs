//! The workloads that come with the program: generators' descriptions, a kilobyte each, and always the same jobs.

/// Name and description; see the comments in the files for what each stands for.
pub const BUNDLED: [(&str, &str); 3] = [
    ("office-hours", include_str!("../../../../config/workloads/office-hours.toml")),
    ("merge-trains", include_str!("../../../../config/workloads/merge-trains.toml")),
    ("nightly-bursts", include_str!("../../../../config/workloads/nightly-bursts.toml")),
];
