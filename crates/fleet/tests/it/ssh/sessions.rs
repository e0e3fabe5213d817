//! Sessions and streams against friendly, broken and hostile servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runner_fleet::ssh::{Limits, LineStream, ManagerKey, RunLimits, Session, SshError, Target};
use russh::ChannelMsg;
use russh::keys::{Algorithm, EcdsaCurve};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Notify, mpsc, watch};

use super::server::{Script, Server, exit, manager_key, pinned, script, soon, stdin, stranger};

const RUN: RunLimits = RunLimits { time: Duration::from_secs(10), stdout_bytes_max: 1000 };

async fn over(wire: DuplexStream, manager: &ManagerKey, limits: Limits) -> Result<Session, SshError> {
    soon("the login", Session::over(wire, "admin", &[pinned(manager)], manager, &limits)).await
}

/// A session whose every command is `work`.
async fn session(work: Script) -> Session {
    let manager = manager_key();
    over(Server::new(&manager, work).wire(), &manager, Limits::default()).await.unwrap()
}

async fn stream(work: Script, line_bytes_max: usize) -> (Session, LineStream) {
    let session = session(work).await;
    let lines = session.stream("agent watch", line_bytes_max).await.unwrap();
    (session, lines)
}

#[tokio::test]
async fn a_command_gets_its_input_and_gives_all_its_output() {
    let session = session(script(|command, mut channel| async move {
        let input = stdin(&mut channel).await;
        channel.extended_data_bytes(1, "complaint").await.unwrap();
        channel.exit_status(3).await.unwrap();
        // Output may follow the exit status.
        channel.data_bytes(format!("{command}: {}", String::from_utf8(input).unwrap())).await.unwrap();
        channel.close().await.unwrap();
    }))
    .await;

    let output = session.run("agent configure", b"secret", RUN).await.unwrap();

    assert_eq!(output.status, Some(3));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "agent configure: secret");
    assert_eq!(output.stderr, b"complaint");
}

#[tokio::test]
async fn a_wrong_host_key_is_refused_and_both_keys_are_told() {
    let manager = manager_key();
    let key = stranger(Algorithm::Ed25519);
    let shown = key.fingerprint(russh::keys::HashAlg::Sha256).to_string();
    let server = Server::with_host_key(&manager, key, script(|_, _| async {}));

    let error = over(server.wire(), &manager, Limits::default()).await.unwrap_err();

    assert!(error.is_wrong_host_key(), "{error}");
    let SshError::WrongHostKey { expected, got } = error else { panic!("another error") };
    assert_eq!((expected, got), (pinned(&manager).fingerprint(), shown));
    assert!(server.logins.lock().unwrap().is_empty(), "the server has seen a login");
}

#[tokio::test]
async fn a_host_key_of_another_kind_is_a_wrong_host_key() {
    let manager = manager_key();
    let key = stranger(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 });
    let server = Server::with_host_key(&manager, key, script(|_, _| async {}));

    let error = over(server.wire(), &manager, Limits::default()).await.unwrap_err();

    assert!(error.is_wrong_host_key(), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_know_our_key_refuses() {
    let manager = manager_key();
    let server = Server::new(&manager, script(|_, _| async {}));

    let (key, limits) = ([pinned(&manager)], Limits::default());
    let error = soon("the login", Session::over(server.wire(), "root", &key, &manager, &limits)).await.unwrap_err();

    assert!(error.is_refused() && error.to_string().contains("user root"), "{error}");
    assert_eq!(*server.logins.lock().unwrap(), ["publickey root"]);
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_closed() {
    let manager = manager_key();
    let limits = Limits { handshake: Duration::from_millis(200), ..Limits::default() };
    // Silent from the first byte, and silent in the middle of the key exchange.
    for greeting in [&b""[..], b"SSH-2.0-OpenSSH_9.2\r\n"] {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(greeting).await.unwrap();

        let error = over(ours, &manager, limits.clone()).await.unwrap_err();

        assert!(error.is_unreachable() && error.to_string().contains("200ms"), "{error}");
        let mut rest = Vec::new();
        soon("closing", theirs.read_to_end(&mut rest)).await.unwrap();
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable() {
    let manager = manager_key();
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = Target { address, user: "admin".into(), host_keys: vec![pinned(&manager)] };

    let error = Session::connect(&target, &manager, &Limits::default()).await.unwrap_err();

    assert!(error.is_unreachable() && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_refused() {
    let manager = manager_key();
    for answer in [b"HTTP/1.1 400 Bad Request\r\n\r\n".repeat(50), vec![0xa5; 100_000], b"SSH-1.0-old\r\n".repeat(100)]
    {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let talk = tokio::spawn(async move {
            let _ = theirs.write_all(&answer).await;
            theirs
        });

        let error = over(ours, &manager, Limits::default()).await.unwrap_err();

        assert!(error.is_refused(), "{error}");
        talk.abort();
    }
}

#[tokio::test]
async fn output_over_the_limit_ends_the_command() {
    let (closed, mut was_closed) = mpsc::channel(1);
    let session = session(script(move |_, mut channel| {
        let closed = closed.clone();
        async move {
            let _ = channel.data_bytes(vec![b'x'; 1001]).await;
            while !matches!(channel.wait().await, Some(ChannelMsg::Close) | None) {}
            let _ = closed.send(()).await;
        }
    }))
    .await;

    let error = session.run("x", b"", RUN).await.unwrap_err();

    assert!(error.is_refused() && error.to_string().contains("1000 bytes"), "{error}");
    soon("closing the channel", was_closed.recv()).await.unwrap();
    assert!(!session.is_closed(), "the session goes on");
}

#[tokio::test]
async fn a_late_command_is_closed_and_the_session_goes_on() {
    let (closed, mut was_closed) = mpsc::channel(1);
    let session = session(script(move |command, mut channel| {
        let closed = closed.clone();
        async move {
            if command == "quick" {
                return exit(&channel, 0).await;
            }
            while !matches!(channel.wait().await, Some(ChannelMsg::Close) | None) {}
            let _ = closed.send(()).await;
        }
    }))
    .await;

    let error = session.run("slow", b"", RunLimits { time: Duration::from_millis(100), ..RUN }).await.unwrap_err();

    assert!(error.is_unreachable() && error.to_string().contains("100ms"), "{error}");
    soon("closing the channel", was_closed.recv()).await.unwrap();
    assert_eq!(session.run("quick", b"", RUN).await.unwrap().status, Some(0));
}

#[tokio::test]
async fn a_command_that_is_not_allowed_is_a_refusal() {
    let session = session(script(|_, _| async {})).await;

    let run = session.run("forbidden", b"", RUN).await.unwrap_err();
    let stream = session.stream("forbidden", 10).await.unwrap().next_line().await.unwrap_err();

    assert!(run.is_refused() && stream.is_refused(), "{run}; {stream}");
}

#[tokio::test]
async fn a_server_that_opens_channels_to_us_is_refused() {
    let session = session(script(|_, _| async {})).await;

    let output = session.run("reach back", b"", RUN).await.unwrap();

    assert_eq!(String::from_utf8(output.stdout).unwrap(), "[false, false, false, false]");
}

#[tokio::test]
async fn a_command_that_ended_without_a_status_has_none() {
    let session = session(script(|_, channel| async move { channel.close().await.unwrap() })).await;

    assert_eq!(session.run("x", b"", RUN).await.unwrap().status, None);
}

#[tokio::test]
async fn lines_arrive_whatever_the_packets_and_whatever_the_bytes() {
    let (session, mut lines) = stream(
        script(|_, channel| async move {
            for piece in [&b"one\ntw"[..], b"o\n\n", b"\xff\x00\xfe\n", b"half"] {
                channel.data_bytes(piece).await.unwrap();
            }
            channel.extended_data_bytes(1, "why").await.unwrap();
            exit(&channel, 7).await;
        }),
        100,
    )
    .await;

    let mut seen = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        seen.push(line);
    }

    assert_eq!(seen, [&b"one"[..], b"two", b"", b"\xff\x00\xfe"], "half a line means nothing");
    assert_eq!((lines.status(), lines.stderr()), (Some(7), &b"why"[..]));
    assert_eq!(lines.next_line().await.unwrap(), None, "the end stays the end");
    assert!(!session.is_closed());
}

/// Sends without end, and counts.
fn flood(sent: Arc<AtomicUsize>) -> Script {
    script(move |_, channel| {
        let sent = Arc::clone(&sent);
        async move {
            while channel.data_bytes(vec![b'x'; 8192]).await.is_ok() {
                sent.fetch_add(8192, Ordering::Relaxed);
            }
        }
    })
}

#[tokio::test]
async fn a_line_without_end_ends_the_stream_at_the_limit() {
    let sent = Arc::new(AtomicUsize::new(0));
    let (session, mut lines) = stream(flood(Arc::clone(&sent)), 64 * 1024).await;

    let error = soon("the limit", lines.next_line()).await.unwrap_err();

    assert!(error.is_refused() && error.to_string().contains("65536 bytes"), "{error}");
    assert_eq!(lines.next_line().await.unwrap(), None);
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 1024 * 1024, "the server could send {sent} bytes");
    drop(session);
}

#[tokio::test]
async fn an_unread_stream_slows_the_server_down() {
    let sent = Arc::new(AtomicUsize::new(0));
    let (_session, lines) = stream(flood(Arc::clone(&sent)), 64 * 1024).await;

    soon("filling the window", async {
        while sent.load(Ordering::Relaxed) < 32 * 1024 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Everything runs on this one thread and in memory: in every turn all who can go on do. When nothing has moved during
    // many turns, the server is blocked.
    let (mut before, mut turns) = (0, 0);
    while turns < 1000 {
        tokio::task::yield_now().await;
        let now = sent.load(Ordering::Relaxed);
        assert!(now < 512 * 1024, "the server could send {now} bytes");
        turns = if now == before { turns + 1 } else { 0 };
        before = now;
    }
    drop(lines);
}

#[tokio::test]
async fn a_connection_cut_in_mid_line_is_an_error_and_no_line() {
    let manager = manager_key();
    let (sent, was_sent) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let work = {
        let (sent, cut) = (Arc::clone(&sent), Arc::clone(&was_sent));
        script(move |_, channel| {
            let (sent, cut) = (Arc::clone(&sent), Arc::clone(&cut));
            async move {
                channel.data_bytes(&b"whole\nhal"[..]).await.unwrap();
                sent.notify_one();
                cut.notified().await;
            }
        })
    };
    let server = Server::new(&manager, work);
    let link = Cable::to(&server);
    let session = over(link.end, &manager, Limits::default()).await.unwrap();
    let mut lines = session.stream("x", 100).await.unwrap();
    assert_eq!(lines.next_line().await.unwrap(), Some(b"whole".to_vec()));

    link.pump.abort();
    let error = soon("the cut", lines.next_line()).await.unwrap_err();

    assert!(error.is_unreachable(), "{error}");
    assert_eq!(lines.next_line().await.unwrap(), None);
    soon("closing", async {
        while !session.is_closed() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A connection that can be cut, or left open while nothing passes any more.
struct Cable {
    end: DuplexStream,
    pump: tokio::task::JoinHandle<()>,
    freeze: Arc<Notify>,
}

impl Cable {
    fn to(server: &Server) -> Self {
        let (end, mut middle) = tokio::io::duplex(64 * 1024);
        let mut far = server.wire();
        let freeze = Arc::new(Notify::new());
        let frozen = Arc::clone(&freeze);
        let pump = tokio::spawn(async move {
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut middle, &mut far) => {}
                () = frozen.notified() => std::future::pending().await,
            }
        });
        Self { end, pump, freeze }
    }
}

/// A way to `far`, and how many pieces were sent along it.
fn counted(far: DuplexStream) -> (DuplexStream, watch::Receiver<usize>) {
    let (end, middle) = tokio::io::duplex(64 * 1024);
    let (mut from_us, mut to_us) = tokio::io::split(middle);
    let (mut from_far, mut to_far) = tokio::io::split(far);
    let (pieces, sent) = watch::channel(0);
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_us.read(&mut buffer).await {
            to_far.write_all(&buffer[..length]).await.unwrap();
            pieces.send_modify(|pieces| *pieces += 1);
        }
    });
    tokio::spawn(async move { tokio::io::copy(&mut from_far, &mut to_us).await });
    (end, sent)
}

fn lively() -> Limits {
    Limits { keepalive_interval: Duration::from_millis(50), keepalive_max: 2, ..Limits::default() }
}

#[tokio::test]
async fn a_dead_peer_is_noticed_by_its_silence() {
    let manager = manager_key();
    let server = Server::new(&manager, script(|_, _channel| std::future::pending()));
    let cable = Cable::to(&server);
    let session = over(cable.end, &manager, lively()).await.unwrap();
    let mut lines = session.stream("x", 100).await.unwrap();

    cable.freeze.notify_one();
    let error = soon("noticing", lines.next_line()).await.unwrap_err();

    assert!(error.is_unreachable() && error.to_string().contains("keep-alive"), "{error}");
}

#[tokio::test]
async fn a_quiet_stream_stays_open_while_the_peer_lives() {
    let manager = manager_key();
    let speak = Arc::new(Notify::new());
    let told_to = Arc::clone(&speak);
    let work = script(move |_, channel| {
        let told_to = Arc::clone(&told_to);
        async move {
            told_to.notified().await;
            channel.data_bytes(&b"still here\n"[..]).await.unwrap();
            std::future::pending::<()>().await;
        }
    });
    let (end, mut sent) = counted(Server::new(&manager, work).wire());
    let session = over(end, &manager, lively()).await.unwrap();
    let mut lines = session.stream("x", 100).await.unwrap();

    // Nobody has anything to say but the keep-alives: three times as many as a dead peer would get.
    let before = *sent.borrow_and_update();
    soon("keep-alives", sent.wait_for(|sent| *sent >= before + 3 * lively().keepalive_max)).await.unwrap();
    speak.notify_one();

    assert_eq!(soon("the line", lines.next_line()).await.unwrap(), Some(b"still here".to_vec()));
}

#[tokio::test]
async fn what_is_sent_arrives_while_a_line_is_awaited() {
    let (_session, mut lines) = stream(
        script(|_, mut channel| async move {
            while let Some(message) = channel.wait().await {
                if let ChannelMsg::Data { data } = message {
                    channel.data_bytes(data).await.unwrap();
                }
            }
        }),
        100,
    )
    .await;

    lines.send(b"beat\n").await.unwrap();

    assert_eq!(soon("the echo", lines.next_line()).await.unwrap(), Some(b"beat".to_vec()));
}
