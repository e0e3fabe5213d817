//! The system's own ssh, as `runner-fleet ssh` starts it: it reads our arguments as we mean them.

use std::path::Path;
use std::process::Stdio;

use runner_fleet::ssh::shell::{Shell, known_hosts_path};
use runner_fleet::ssh::{HostPublicKey, ManagerKey, Target};

use super::server::{Server, exit, pinned, script, soon};
use runner_fleet_testing::tools::found;

const UNTESTED: &str = "whether the system's own ssh understands us";

/// `-G` prints what it understood.
#[tokio::test]
async fn the_systems_own_ssh_understands_the_arguments() {
    let Some(program) = found("ssh", UNTESTED) else { return };
    let dir = tempfile::tempdir().unwrap();
    let host_keys = vec![pinned(&ManagerKey::load_or_create(dir.path()).unwrap())];
    let target = Target { address: ([10, 0, 0, 7], 2222).into(), user: "admin".into(), host_keys };
    let shell = Shell::new("i-0abc", &target, Path::new("/var/lib/a b/key"), Path::new("/tmp/kh"), &[]);

    let answer = tokio::process::Command::new(program).arg("-G").args(&shell.arguments).output();
    let answer = soon("ssh", answer).await.unwrap();

    let text = String::from_utf8(answer.stdout).unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    for line in [
        "user admin",
        "port 2222",
        "hostkeyalias i-0abc",
        "identityfile /var/lib/a b/key",
        "userknownhostsfile /tmp/kh",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn the_systems_ssh_gets_in_only_with_the_right_host_key() {
    let Some(program) = found("ssh", UNTESTED) else { return };
    let dir = tempfile::tempdir().unwrap();
    let manager = ManagerKey::load_or_create(dir.path()).unwrap();
    let server = Server::new(
        &manager,
        script(|command, channel| async move {
            channel.data_bytes(format!("ran {command}\n")).await.unwrap();
            exit(&channel, 5).await;
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            server.serve(stream);
        }
    });
    let ssh = |host_keys| {
        let known_hosts = known_hosts_path(dir.path());
        let target = Target { address, user: "admin".into(), host_keys };
        let words = ["echo".to_owned(), "a b".to_owned()];
        let shell = Shell::new("i-0abc", &target, manager.path(), &known_hosts, &words);
        std::fs::write(&known_hosts, &shell.known_hosts).unwrap();
        tokio::process::Command::new(&program).args(&shell.arguments).stdin(Stdio::null()).output()
    };

    let other = HostPublicKey::parse(&manager.host_key("other").public_openssh).unwrap();
    let right = soon("ssh", ssh(vec![other.clone(), pinned(&manager)])).await.unwrap();
    let wrong = soon("ssh", ssh(vec![other])).await.unwrap();

    assert_eq!(String::from_utf8_lossy(&right.stdout), "ran echo 'a b'\n", "{right:?}");
    assert_eq!(right.status.code(), Some(5));
    assert_eq!(wrong.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("Host key verification failed"), "{wrong:?}");
}
