//! REST behind TLS of its own.

use std::sync::Arc;

use api_server::Settings;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    scene::PATIENCE,
    service::{Secure, Service, roomy},
};
use crate::captured::log;

pub fn with_tls(settings: Settings) -> Settings {
    Settings {
        rest_tls_addr: Some("127.0.0.1:0".into()),
        ..settings
    }
}

/// A TLS client that trusts this certificate and nothing else.
pub fn connector(certificate: &str) -> TlsConnector {
    use rustls_pki_types::{CertificateDer, pem::PemObject};

    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config).into()
}

/// Asks for /livez over TLS; none when this certificate is not the one that is served.
async fn ask(secure: &Secure, certificate: &str) -> Option<String> {
    let stream = TcpStream::connect(secure.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = connector(certificate).connect(name, stream).await.ok()?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    Some(answer)
}

#[tokio::test]
async fn rest_is_served_with_tls_beside_the_plain_port() {
    let service = Service::start_with(with_tls(roomy())).await;
    let secure = service.tls.as_ref().unwrap();
    let answer = ask(secure, &secure.certificate()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    service.get("/livez").send().await.result();
    // Another client, with an app's requests.
    let root = reqwest::Certificate::from_pem(secure.certificate().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .resolve("localhost", secure.address)
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/account/code", secure.address.port());
    let body = serde_json::json!({"phone": "+8613800000001"});
    let reply = client.post(url).json(&body).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert!(service.sms.code("+8613800000001").is_some());
}

#[tokio::test]
async fn what_is_no_tls_is_hung_up_on_and_the_others_go_on() {
    let service = Service::start_with(with_tls(roomy())).await;
    let secure = service.tls.as_ref().unwrap();
    let silent = TcpStream::connect(secure.address).await.unwrap();
    for bytes in [
        &b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"[..],
        b"\x16\x03\x01\xff\xff",
        b"\0",
    ] {
        let mut stream = TcpStream::connect(secure.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    }
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    assert_eq!(ask(secure, &stranger.cert.pem()).await, None);
    assert!(ask(secure, &secure.certificate()).await.is_some());
    drop(silent);
}

#[tokio::test]
async fn a_new_pair_is_taken_when_its_second_file_is_there() {
    log();
    let service = Service::start_with(with_tls(roomy())).await;
    let secure = service.tls.as_ref().unwrap();
    let old = secure.certificate();
    let next = tempfile::tempdir().unwrap();
    Secure::make(next.path());
    let put = |name: &str| std::fs::copy(next.path().join(name), secure.folder.path().join(name)).unwrap();
    put("cert.pem");
    let folder = secure.folder.path().to_str().unwrap();
    let end = std::time::Instant::now() + PATIENCE;
    while !String::from_utf8_lossy(&log().0.lock())
        .lines()
        .any(|line| line.contains("is refused") && line.contains(folder))
    {
        assert!(std::time::Instant::now() < end, "the mismatch is said");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(ask(secure, &old).await.is_some(), "the old pair stays in force");
    put("key.pem");
    while ask(secure, &secure.certificate()).await.is_none() {
        assert!(std::time::Instant::now() < end, "the new pair is in force");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(ask(secure, &old).await, None);
}

/// The end of the service ends both listeners, and a handshake that hangs does not hold it up for ever.
#[tokio::test]
async fn tls_ends_with_the_service() {
    let mut service = Service::start_with(with_tls(roomy())).await;
    let secure = service.tls.as_ref().unwrap();
    assert!(ask(secure, &secure.certificate()).await.is_some());
    let ended = service.ended.take().unwrap();
    let _silent = TcpStream::connect(secure.address).await.unwrap();
    service.shutdown.cancel();
    timeout(PATIENCE, ended).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(secure.address).await.is_err());
}
