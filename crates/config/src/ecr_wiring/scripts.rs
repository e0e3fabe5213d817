//! Scripts that log in to ECR by themselves.

/// Of a `setup_script` that does by itself what the table does. One that is translated is not read for it: where.
pub(super) const SETS_UP: &str = "where it sets up the ECR helper or Docker's config.json, as [runners.fleet.ecr] does, \
                                  those lines are to go: what they break is put back after it";

/// What to say of a `setup_script`, beside the table or without it.
pub(crate) fn setup_script(text: &str, has_table: bool) -> Option<&'static str> {
    if logs_in(text) {
        return Some(
            "logs in to ECR at the boot: that login ends after 12 hours, and a worker may live longer; by \
             [runners.fleet.ecr] each pull asks for its own",
        );
    }
    (has_table && sets_up(text)).then_some(SETS_UP)
}

/// The same of a script that runs in each job, after the lines of ours.
pub(super) fn in_each_job(text: &str) -> Option<&'static str> {
    if logs_in(text) {
        return Some(
            "logs in to ECR in each job, which counts before the worker's role; it is not needed beside \
             [runners.fleet.ecr]",
        );
    }
    sets_up(text).then_some(
        "sets up the ECR helper or Docker's config.json, over what jobs get by [runners.fleet.ecr]; those lines are to go",
    )
}

/// `aws ecr get-login`, `get-login-password`, also of `ecr-public`.
fn logs_in(text: &str) -> bool {
    code(text).any(|line| line.contains("ecr get-login") || line.contains("ecr-public get-login"))
}

fn sets_up(text: &str) -> bool {
    code(text).any(|line| line.contains("docker-credential-ecr-login") || line.contains(".docker/config.json"))
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with('#'))
}
