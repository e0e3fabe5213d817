//! Where a server says that it shows a job, and what follows of the project. Pure.

use reqwest::Url;

use runner_fleet_engine::{JobId, ProjectPath};

/// The project's path, from a job's `web_url`: what stands between the configured address and `/-/jobs/ID`.
///
/// What a server says is a claim: an address on another host, of another scheme than http and https, or of another job
/// tells nothing. Only the scheme may be the other one of the two: GitLab behind a proxy may not know its own.
pub(super) fn project_path(web_url: &str, job: JobId, base: &Url) -> Option<ProjectPath> {
    let url = Url::parse(web_url).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str() != base.host_str() {
        return None;
    }
    let path = url.path().strip_prefix(base.path().trim_end_matches('/'))?.strip_prefix('/')?;
    ProjectPath::new(path.strip_suffix(&format!("/-/jobs/{job}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_own_address_tells_a_path() {
        let read = |web_url: &str, base: &str| {
            let path = project_path(web_url, JobId(7), &Url::parse(base).unwrap());
            path.map(|path| path.as_str().to_owned())
        };
        let own = "https://gitlab.example.com";
        let path = |path: &str| Some(path.to_owned());
        assert_eq!(read("https://gitlab.example.com/g/h/p/-/jobs/7", own), path("g/h/p"));
        assert_eq!(read("http://gitlab.example.com:8080/g/p/-/jobs/7", own), path("g/p"));
        let below = "https://gitlab.example.com/gitlab/";
        assert_eq!(read("https://gitlab.example.com/gitlab/g/p/-/jobs/7", below), path("g/p"));
        for foreign in [
            "https://evil.example/g/p/-/jobs/7",
            "https://gitlab.example.com@evil.example/g/p/-/jobs/7",
            "https://gitlab.example.com.evil.example/g/p/-/jobs/7",
            "javascript://gitlab.example.com/g/p/-/jobs/7",
            "ftp://gitlab.example.com/g/p/-/jobs/7",
            "https://gitlab.example.com/g/p/-/jobs/77",
            "https://gitlab.example.com/g/p/-/pipelines/7",
            "https://gitlab.example.com/g/%3Cb%3E/-/jobs/7",
            "/g/p/-/jobs/7",
            "",
        ] {
            assert_eq!(read(foreign, own), None, "{foreign}");
        }
        assert_eq!(read("https://gitlab.example.com/other/g/p/-/jobs/7", below), None);
    }
}
