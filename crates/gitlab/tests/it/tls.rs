//! TLS is always verified: an own CA is trusted when its file is given, and only then.

use std::path::PathBuf;
use std::sync::Arc;

use runner_fleet_gitlab::{GitLab, GitLabError, Verified, manager_system_id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{RUNNER_TOKEN, options, recorded, runner_token};

/// A GitLab that verifies every runner token, over TLS; its port.
async fn server() -> u16 {
    let certificate = CertificateDer::from_pem_slice(recorded!("tls/server.pem").as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(recorded!("tls/server.key").as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let body = recorded!("verify.json");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

async fn verify(host: &str, ca_file: Option<PathBuf>) -> Result<Verified, GitLabError> {
    let mut options = options(&format!("https://{host}:{}", server().await));
    options.ca_file = ca_file;
    GitLab::new(options).unwrap().verify(&runner_token(), &manager_system_id("ci-eu")).await
}

fn own_ca() -> Option<PathBuf> {
    Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded/tls/ca.pem")))
}

#[tokio::test]
async fn an_own_ca_is_trusted_when_its_file_is_given() {
    assert_eq!(verify("127.0.0.1", own_ca()).await, Ok(Verified { id: 12345, expires_at: None }));
}

#[tokio::test]
async fn an_unknown_ca_is_refused_and_the_remedy_is_told() {
    let error = verify("127.0.0.1", None).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("TLS certificate is not trusted") && text.contains("as tls-ca-file"), "{text}");
    assert!(!error.is_transient() && !text.contains(RUNNER_TOKEN));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let text = verify("127.0.0.2", own_ca()).await.unwrap_err().to_string();
    assert!(text.contains("the server's TLS certificate is not trusted"), "{text}");
}
