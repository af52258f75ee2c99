//! Client addresses behind proxies, and the limits per address.

use proto::wire::ByeReason;
use testkit::{PATIENCE, eventually};

use super::{
    app::login,
    clients::{Answer, Client, WAYS, Way, client, crowd, node, until, version_1, version_2},
};
use crate::captured::log;

const OVERLOADED: Answer = Answer::Bye(ByeReason::Overloaded);

/// An address that no other test connects from, also not on the other engine: lines of the log tell them apart.
fn own(test: u8) -> [u8; 4] {
    let engine = match super::STORE {
        testkit::store::Store::Sqlite => 1,
        testkit::store::Store::Postgres => 2,
    };
    [127, 9, engine, test]
}

fn text(address: [u8; 4]) -> String {
    std::net::Ipv4Addr::from(address).to_string()
}

/// The next phone behind the same nginx is another client, and the same one is not.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_each_app_has_its_own_limit_on_websocket() {
    let proxy = own(1);
    let proxies = format!("{},10.0.0.0/8", text(proxy));
    let flags = ["--connections-per-address", "2", "--trusted-proxies", &proxies];
    let (fleet, paper) = node(&flags).await;
    // Addresses of their own for each turn: a place is given back a moment after its answer.
    for (turn, way) in [Way::Ws, Way::Wss].into_iter().enumerate() {
        let via = |forwarded: String| client(way).from(proxy).forwarded(&forwarded);
        let mut waiting = Vec::new();
        for at in 0..40 {
            let app = via(format!("8.8.8.8, 198.51.{turn}.{at}, 10.0.0.9"));
            waiting.push(app.open(&fleet, &paper).await.expect("an open socket"));
        }
        let one = via(format!("192.0.{turn}.1"));
        let crowded = crowd(&one, &fleet, &paper).await;
        // A list that the app itself wrote is believed no further than the proxy's own part.
        let forger = via(format!("192.0.{turn}.2, 192.0.{turn}.1"));
        assert_eq!(forger.right(&fleet, &paper, 1).await.0, OVERLOADED, "{way:?}");
        let other = via(format!("192.0.{turn}.2")).right(&fleet, &paper, 2).await;
        assert_eq!(other.0, Answer::In, "{way:?}");
        drop(crowded);
        until(Answer::In, async || one.right(&fleet, &paper, 1).await.0).await;
        // IPv6 counts by its network of 64 bits.
        let _network = crowd(&via(format!("2001:db8:{turn}::1")), &fleet, &paper).await;
        let same = via(format!("2001:db8:{turn}:0:ffff::3"));
        assert_eq!(same.right(&fleet, &paper, 3).await.0, OVERLOADED, "{way:?}");
        let neighbour = via(format!("2001:db8:{turn}:1::3"));
        assert_eq!(neighbour.right(&fleet, &paper, 3).await.0, Answer::In, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_write_another_address_over_its_own() {
    let proxy = text(own(3));
    let flags = ["--connections-per-address", "2", "--trusted-proxies", &proxy];
    let (fleet, paper) = node(&flags).await;
    for (way, stranger) in [(Way::Ws, own(2)), (Way::Wss, own(9))] {
        let app = |at: usize| client(way).from(stranger).forwarded(&format!("192.0.2.{at}"));
        let _crowded = crowd(&app(1), &fleet, &paper).await;
        assert_eq!(app(2).right(&fleet, &paper, 1).await.0, OVERLOADED, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_the_proxy_protocol_are_taken_on_every_port() {
    let (fleet, paper) = node(&["--proxy-protocol", "--connections-per-address", "1"]).await;
    // Addresses of their own for each turn: a place is given back a moment after its answer.
    for (turn, way) in WAYS.into_iter().enumerate() {
        for (version, header) in [version_1, version_2].into_iter().enumerate() {
            let other = if version == 0 { version_2 } else { version_1 };
            let address = format!("192.0.2.1{turn}{version}");
            let app = client(way).header(header(&address));
            let crowded = crowd(&app, &fleet, &paper).await;
            let same = client(way).header(other(&address));
            assert_eq!(same.right(&fleet, &paper, 1).await.0, OVERLOADED, "{way:?}");
            let neighbour = client(way).header(other(&format!("198.51.100.1{turn}{version}")));
            assert_eq!(neighbour.right(&fleet, &paper, 2).await.0, Answer::In, "{way:?}");
            drop(crowded);
            until(Answer::In, async || app.right(&fleet, &paper, 1).await.0).await;
        }
        // An IPv6 network is one client, and an address that is mapped into IPv6 is IPv4.
        let app = |address: String| client(way).header(version_1(&address));
        for (one, same) in [
            (format!("2001:db8:0:{turn}::1"), format!("2001:db8:0:{turn}::2")),
            (format!("::ffff:203.0.113.{turn}"), format!("203.0.113.{turn}")),
        ] {
            let _crowded = crowd(&app(one), &fleet, &paper).await;
            assert_eq!(app(same).right(&fleet, &paper, 3).await.0, OVERLOADED, "{way:?}");
        }
        // A balancer that connects on its own behalf.
        let unknown = client(way).header(b"PROXY UNKNOWN\r\n".to_vec());
        until(Answer::In, async || unknown.right(&fleet, &paper, 4).await.0).await;
    }
}

/// An L4 balancer before nginx: the header names nginx, and nginx names the app.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_and_x_forwarded_for_follow_one_another() {
    let flags = [
        "--proxy-protocol-ports",
        "ws,tls",
        "--trusted-proxies",
        "127.0.0.1,10.0.0.7",
        "--connections-per-address",
        "1",
    ];
    let (fleet, paper) = node(&flags).await;
    for (way, app, other) in [
        (Way::Ws, "192.0.2.1", "192.0.2.2"),
        (Way::Wss, "192.0.2.3", "192.0.2.4"),
    ] {
        let via = |app: &str| client(way).header(version_1("10.0.0.7")).forwarded(app);
        let _crowded = crowd(&via(app), &fleet, &paper).await;
        assert_eq!(via(other).right(&fleet, &paper, 1).await.0, Answer::In, "{way:?}");
        // Of an app that connects past nginx, the list is its own work.
        let forger = client(way).header(version_1(app)).forwarded("198.51.100.1");
        assert_eq!(forger.right(&fleet, &paper, 1).await.0, OVERLOADED, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_is_for_each_port_of_its_own() {
    let ports = |way: Way| match way {
        Way::Tcp => "im",
        Way::Ws => "ws",
        Way::Tls | Way::Wss => "tls",
    };
    for switched in WAYS {
        let (fleet, paper) = node(&["--proxy-protocol-ports", ports(switched)]).await;
        for way in WAYS {
            let plain = client(way).right(&fleet, &paper, 1).await.0;
            let mut proxied = Vec::new();
            for header in [version_1("192.0.2.1"), version_2("192.0.2.1")] {
                proxied.push(client(way).header(header).right(&fleet, &paper, 2).await.0);
            }
            if ports(way) == ports(switched) {
                assert_eq!(plain, Answer::Closed, "{way:?} of {switched:?}");
                assert_eq!(proxied, [Answer::In, Answer::In], "{way:?} of {switched:?}");
            } else {
                assert_eq!(plain, Answer::In, "{way:?} of {switched:?}");
                assert!(
                    !proxied.contains(&Answer::In),
                    "{way:?} of {switched:?}: {proxied:?}"
                );
            }
        }
    }
}

/// A connection without the header of a trusted proxy is closed silently, and logged for the operator.
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_strangers_and_missing_ones_are_refused_and_said_once() {
    let log = log();
    let (balancer, stranger) = (own(4), own(5));
    let named = text(balancer);
    let (fleet, paper) = node(&["--proxy-protocol", "--trusted-proxies", &named]).await;
    for way in WAYS {
        for header in [version_1("192.0.2.1"), version_2("192.0.2.1"), Vec::new()] {
            let forged = client(way)
                .from(stranger)
                .header(header)
                .right(&fleet, &paper, 1)
                .await;
            assert_eq!(forged.0, Answer::Closed, "{way:?}");
        }
        for bad in [
            Vec::new(),
            b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 99999\r\n".to_vec(),
            version_2("192.0.2.1")[..12].to_vec(),
        ] {
            let app = client(way).from(balancer).header(bad);
            assert_eq!(app.right(&fleet, &paper, 1).await.0, Answer::Closed, "{way:?}");
        }
        let good = client(way).from(balancer).header(version_1("192.0.2.1"));
        assert_eq!(good.right(&fleet, &paper, 1).await.0, Answer::In, "{way:?}");
    }
    let lines = log.lines(&[&text(stranger)]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("--trusted-proxies"), "{lines:?}");
    let lines = log.lines(&[&text(balancer)]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("--proxy-protocol"), "{lines:?}");
    // On a port without PROXY headers, the log names the setting.
    let sender = own(6);
    let (fleet, paper) = node(&[]).await;
    for way in WAYS {
        for header in [version_1("192.0.2.1"), version_2("192.0.2.1")] {
            let app = client(way).from(sender).header(header);
            assert_ne!(app.right(&fleet, &paper, 1).await.0, Answer::In, "{way:?}");
        }
    }
    let lines = log.lines(&[&text(sender)]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("--proxy-protocol-ports im"), "{lines:?}");
}

/// Half a header and silence end like every login that does not come.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_does_not_come_is_not_waited_for() {
    let (fleet, _paper) = node(&["--proxy-protocol"]).await;
    for beginning in [&b""[..], b"PROXY TCP4 192", b"\r\n\r\n\0\r\nQUIT\n\x21"] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(fleet.ports().tcp()).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest));
        let _ = read.await.expect("the node hangs up");
        assert_eq!(rest, b"");
    }
}

/// A hospital behind one address: logged-in connections count by user.
#[tokio::test(flavor = "multi_thread")]
async fn people_who_have_logged_in_do_not_use_up_the_places_of_their_address() {
    let log = log();
    let hospital = own(7);
    let (fleet, paper) = node(&["--connections-per-address", "1"]).await;
    let mut people = Vec::new();
    for (at, way) in WAYS.into_iter().cycle().take(12).enumerate() {
        let app = client(way).from(hospital);
        let user = i64::try_from(at).unwrap() + 1;
        let password = fleet.password(user, "phone").await;
        // The place of the one before is given back a moment after its answer.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (answer, open) = app.log_in(&fleet, &paper, login(user, "phone", &password)).await;
            if answer == Answer::In {
                people.push(open);
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{way:?}: {answer:?}");
        }
    }
    eventually("all are in", async || fleet.nodes[0].0.sessions() == 12).await;
    let _crowded = crowd(&client(Way::Tcp).from(hospital), &fleet, &paper).await;
    eventually("all are in still", async || fleet.nodes[0].0.sessions() == 12).await;
    let lines = log.lines(&[&text(hospital)]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("--connections-per-address"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_has_a_bounded_number_of_sessions() {
    let (fleet, paper) = node(&["--sessions-per-user", "3"]).await;
    let log_in = async |user: i64, device: String| {
        let password = fleet.password(user, &device).await;
        let app = client(Way::Tcp);
        app.log_in(&fleet, &paper, login(user, &device, &password)).await
    };
    let mut kept = Vec::new();
    for at in 0..3 {
        let (answer, open) = log_in(1, format!("device {at}")).await;
        assert_eq!(answer, Answer::In);
        kept.push(open);
    }
    assert_eq!(log_in(1, "another".into()).await.0, OVERLOADED);
    let others = log_in(2, "another".into()).await;
    assert_eq!(others.0, Answer::In);
    // A device of theirs that comes back takes its own place.
    let again = log_in(1, "device 1".into()).await;
    assert_eq!(again.0, Answer::In);
    kept.clear();
    until(Answer::In, async || log_in(1, "another".into()).await.0).await;
}

/// Guesses of one app at a hospital's address: wrong passwords wait, right ones of others come in, and a flood is not even
/// looked up.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_of_an_address_do_not_lock_its_people_out() {
    let log = log();
    let hospital = own(8);
    let (fleet, paper) = node(&["--failed-logins-per-minute", "2"]).await;
    let too_many = || Answer::Bye(ByeReason::TooManyAttempts);
    for way in WAYS {
        let app = client(way).from(hospital);
        until(too_many(), async || app.wrong(&fleet, &paper).await).await;
        assert_eq!(app.right(&fleet, &paper, 1).await.0, Answer::In, "{way:?}");
    }
    assert_eq!(
        client(Way::Tcp).wrong(&fleet, &paper).await,
        Answer::Bye(ByeReason::AuthFailed),
        "another address is another client"
    );
    // A new minute may begin in between.
    let app = client(Way::Tcp).from(hospital);
    until(too_many(), async || {
        for _ in 0..101 {
            app.wrong(&fleet, &paper).await;
        }
        app.right(&fleet, &paper, 1).await.0
    })
    .await;
    let lines = log.lines(&[&text(hospital)]);
    assert!((1..=3).contains(&lines.len()), "{lines:?}");
    assert!(lines[0].contains("--failed-logins-per-minute"), "{lines:?}");
}

/// Twenty bad logins of one app behind nginx are its own.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_behind_a_proxy_count_for_the_app() {
    let flags = [
        "--failed-logins-per-minute",
        "1",
        "--trusted-proxies",
        "127.0.0.1",
    ];
    let (fleet, paper) = node(&flags).await;
    let via = |app: &str| -> Client { client(Way::Ws).forwarded(app) };
    until(Answer::Bye(ByeReason::TooManyAttempts), async || {
        via("192.0.2.1").wrong(&fleet, &paper).await
    })
    .await;
    assert_eq!(
        via("192.0.2.2").wrong(&fleet, &paper).await,
        Answer::Bye(ByeReason::AuthFailed)
    );
}
