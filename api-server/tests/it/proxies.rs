//! Clients' addresses behind balancers, and limits by address.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
};

use api_server::{RestPort, Settings};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{
    scene::PATIENCE,
    service::{Service, roomy},
    tls::{connector, with_tls},
};
use crate::captured::log;

/// An address that no other test connects from, also not on the other engine.
fn own(test: u8) -> Ipv4Addr {
    let engine = match super::STORE {
        testkit::store::Store::Sqlite => 1,
        testkit::store::Store::Postgres => 2,
    };
    Ipv4Addr::new(127, 9, engine, test)
}

/// The lines of the log about an address.
fn lines(address: Ipv4Addr) -> Vec<String> {
    let text = String::from_utf8_lossy(&log().0.lock()).into_owned();
    let address = address.to_string();
    text.lines()
        .filter(|line| line.contains("WARN") && line.contains(&address))
        .map(str::to_owned)
        .collect()
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

async fn connect(from: Ipv4Addr, to: SocketAddr, header: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let _ = stream.write_all(header).await;
    stream
}

/// One request on a connection that stays; the status, 0 when it was closed.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), token: Option<&str>) -> u16 {
    let token = token
        .map(|token| format!("x-auth-token: {token}\r\n"))
        .unwrap_or_default();
    let request = format!("GET /account/devices HTTP/1.1\r\nhost: x\r\n{token}\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return 0;
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap() {
            Ok(read @ 1..) => answer.extend_from_slice(&buffer[..read]),
            _ => return 0,
        }
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
        if body.len() >= length {
            return head[9..12].parse().unwrap();
        }
    }
}

const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\x12\x67\x1f\x90";

#[tokio::test]
async fn balancers_name_clients_by_the_proxy_protocol_on_both_ports() {
    log();
    let (balancer, stranger) = (own(1), own(2));
    let settings = Settings {
        trusted_proxies: vec![balancer.to_string().parse().unwrap()],
        rest_proxy_protocol_ports: vec![RestPort::Rest, RestPort::RestTls],
        rest_connections_per_address: number(1),
        ..with_tls(roomy())
    };
    let service = Service::start_with(settings).await;
    let secure = service.tls.as_ref().unwrap();
    let header = |address: &str| {
        let protocol = if address.contains(':') { "TCP6" } else { "TCP4" };
        let to = if address.contains(':') { "::1" } else { "127.0.0.1" };
        format!("PROXY {protocol} {address} {to} 1 2\r\n").into_bytes()
    };
    let mut first = connect(balancer, service.address, VERSION_2).await;
    assert_eq!(ask(&mut first, None).await, 401);
    // The same client in the other version, and others.
    let mut same = connect(balancer, service.address, &header("192.0.2.7")).await;
    assert_eq!(ask(&mut same, None).await, 0);
    let mut other = connect(balancer, service.address, &header("192.0.2.8")).await;
    assert_eq!(ask(&mut other, None).await, 401);
    let mut network = connect(balancer, service.address, &header("2001:db8::1")).await;
    assert_eq!(ask(&mut network, None).await, 401);
    let mut network = connect(balancer, service.address, &header("2001:db8::2")).await;
    assert_eq!(ask(&mut network, None).await, 0);
    // Behind TLS.
    let name = || "localhost".try_into().unwrap();
    let tls = connector(&secure.certificate());
    let stream = connect(balancer, secure.address, &header("192.0.2.9")).await;
    let mut stream = tls.connect(name(), stream).await.unwrap();
    assert_eq!(ask(&mut stream, None).await, 401);
    let second = connect(balancer, secure.address, &header("192.0.2.9")).await;
    assert!(tls.connect(name(), second).await.is_err());
    // Nothing else comes in.
    for (from, header) in [
        (balancer, &b""[..]),
        (balancer, b"PROXY TCP4 192.0.2.77\r\n"),
        (stranger, b""),
        (stranger, VERSION_2),
    ] {
        let mut stream = connect(from, service.address, header).await;
        assert_eq!(ask(&mut stream, None).await, 0, "{from} {header:?}");
    }
    let said = lines(stranger);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("--trusted-proxies"), "{said:?}");
    let said = lines(balancer);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("--rest-proxy-protocol-ports rest"), "{said:?}");
}

#[tokio::test]
async fn the_proxy_protocol_is_a_switch_of_each_port() {
    for switched in [RestPort::Rest, RestPort::RestTls] {
        let settings = Settings {
            rest_proxy_protocol_ports: vec![switched],
            ..with_tls(roomy())
        };
        let service = Service::start_with(settings).await;
        let secure = service.tls.as_ref().unwrap();
        for proxied in [false, true] {
            let header = if proxied { VERSION_2 } else { b"" };
            let mut plain = connect(own(3), service.address, header).await;
            let answer = ask(&mut plain, None).await;
            if proxied == (switched == RestPort::Rest) {
                assert_eq!(answer, 401, "{switched:?}");
            } else {
                assert!(answer == 0 || answer == 400, "{switched:?}: {answer}");
            }
            let stream = connect(own(3), secure.address, header).await;
            let name = "localhost".try_into().unwrap();
            let handshake = connector(&secure.certificate()).connect(name, stream).await;
            assert_eq!(
                handshake.is_ok(),
                proxied == (switched == RestPort::RestTls),
                "{switched:?}"
            );
        }
    }
}

/// A hospital behind one address: requests of people who are logged in do not use up what strangers may ask, nor the other
/// way round, and their connections are their own.
#[tokio::test]
async fn people_who_are_logged_in_count_by_user() {
    log();
    let hospital = own(4);
    let settings = Settings {
        requests_per_s_address: number(4),
        rest_connections_per_address: number(1),
        ..roomy()
    };
    let service = Service::start_with(settings).await;
    let mut people = Vec::new();
    for at in 0..3 {
        people.push(service.member(&format!("Pat {at}")).await);
    }
    let mut connections = Vec::new();
    for person in &people {
        let mut stream = connect(hospital, service.address, b"").await;
        assert_eq!(ask(&mut stream, Some(&person.token)).await, 200);
        connections.push(stream);
    }
    // One without a user uses the address up; the next is closed.
    let mut stranger = connect(hospital, service.address, b"").await;
    let mut statuses = Vec::new();
    for _ in 0..80 {
        statuses.push(ask(&mut stranger, Some("guess")).await);
    }
    assert_eq!(statuses[0], 401);
    assert!(statuses.contains(&429), "{statuses:?}");
    let mut another = connect(hospital, service.address, b"").await;
    assert_eq!(ask(&mut another, None).await, 0);
    for (person, stream) in people.iter().zip(&mut connections) {
        for _ in 0..5 {
            assert_eq!(ask(stream, Some(&person.token)).await, 200);
        }
    }
    let said = lines(hospital);
    assert_eq!(said.len(), 2, "{said:?}");
    for flag in ["--requests-per-s-address", "--rest-connections-per-address"] {
        assert!(said.iter().any(|line| line.contains(flag)), "{said:?}");
    }
}

/// Tokens are not looked up without end: a flood of wrong ones is refused before the database is asked.
#[tokio::test]
async fn a_flood_of_guesses_is_bounded_whatever_tokens_it_carries() {
    let settings = Settings {
        requests_per_s_address: number(4),
        ..roomy()
    };
    let service = Service::start_with(settings).await;
    let member = service.member("Pat").await;
    let mut stream = connect(own(5), service.address, b"").await;
    // Ten times what the address may ask, all at once: 200 look-ups, and then 40 a second.
    let mut refused = false;
    for _ in 0..2_000 {
        ask(&mut stream, Some("guess")).await;
        refused |= ask(&mut stream, Some(&member.token)).await == 429;
        if refused {
            break;
        }
    }
    assert!(refused);
    let mut elsewhere = connect(own(6), service.address, b"").await;
    assert_eq!(ask(&mut elsewhere, Some(&member.token)).await, 200);
}

/// The advice at the start: codes in the log and plain REST behind a proxy.
#[tokio::test]
async fn codes_in_the_log_are_warned_of_where_others_come() {
    log();
    let settings = Settings {
        trusted_proxies: vec!["127.9.9.9".parse().unwrap()],
        ..roomy()
    };
    let service = Service::start_as(settings, super::service::Inbox::default()).await;
    service.get("/livez").send().await.result();
    let text = String::from_utf8_lossy(&log().0.lock()).into_owned();
    assert!(text.contains("--sms-provider log writes phones and SMS codes to the log"));
}
