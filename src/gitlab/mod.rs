//! GitLab's public API, behind our own words.
