//! The program speaks TLS itself where it has a certificate.

use std::{net::SocketAddr, sync::Arc};

use etl::settings::Settings;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use server::startup::Application;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};
use tokio_rustls::TlsConnector;

/// The answer to a request over an open connection, as text.
async fn ask(mut connection: impl AsyncRead + AsyncWrite + Unpin, host: SocketAddr) -> std::io::Result<String> {
    connection.write_all(format!("GET /api/v1/health HTTP/1.0\r\nhost: {host}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let mut settings = Settings::defaults();
    settings.port = 0;
    settings.data_dir = folder.path().join("data");
    settings.kafka.embedded_port = 0;
    settings.web.tls_certificate = folder.path().join("certificate.pem");
    settings.web.tls_key = folder.path().join("key.pem");
    std::fs::write(&settings.web.tls_certificate, made.cert.pem()).expect("a file");
    std::fs::write(&settings.web.tls_key, made.signing_key.serialize_pem()).expect("a file");

    let application =
        Application::build(settings, folder.path().join("site"), env!("CARGO_BIN_EXE_streamlinehub").into())
            .await
            .expect("a free port");
    let address = application.address();
    assert!(application.url().starts_with("https://"), "{}", application.url());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(application.run_until(async move { _ = stopped.await }));

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    // The connection waits in the listener's queue until the server takes it.
    let plain = TcpStream::connect(address).await.expect("a connection");
    let encrypted = TcpStream::connect(address).await.expect("a connection");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let encrypted = TlsConnector::from(Arc::new(client)).connect(name, encrypted).await.expect("a handshake");
    let answer = ask(encrypted, address).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.") && answer.contains("\"components\""), "{answer}");
    assert!(answer.to_lowercase().contains("strict-transport-security: max-age="), "{answer}");

    let answer = ask(plain, address).await.unwrap_or_default();
    assert!(!answer.contains("\"components\""), "answered without TLS: {answer}");

    stop.send(()).expect("it is running");
    running.await.expect("no panic").expect("a clean stop");
}
