//! Programs that some tests need and a machine may lack. `make test` gets them (tests/tools); where they cannot be had, or
//! where nobody asked for them, a test is left out. It says so, and CI does not accept it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

/// Where a program is, if anywhere on the PATH.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Where a program is; without it, `untested` is what is left out.
pub fn found(program: &str, untested: &str) -> Option<PathBuf> {
    let file = which(program);
    if file.is_none() {
        left_out(untested, program);
    }
    file
}

/// Says past the harness, which keeps to itself what a passing test prints, and once, that something was not tested.
pub fn left_out(untested: &str, want_of: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let what = format!("NOT TESTED: {untested}, for want of {want_of} (`make test` gets it)");
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{what}");
    if SAID.lock().is_ok_and(|mut said| said.insert(what.clone())) {
        let _ = writeln!(std::io::stderr(), "{what}");
    }
}
