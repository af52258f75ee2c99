//! A private Redis: it starts, breaks as asked, and leaves nothing behind.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use testkit::redis::{Certificate, Options, Redis};

#[test]
fn it_goes_through_every_fault_and_ends_with_its_handle() {
    let redis = Redis::start(Options::default()).unwrap();
    assert_eq!(redis.command(&["SET", "a", "1"]).unwrap(), "OK");
    assert_eq!(redis.command(&["GET", "a"]).unwrap(), "1");
    assert!(
        redis
            .command(&["NONSENSE"])
            .unwrap_err()
            .to_string()
            .contains("NONSENSE")
    );
    let limits = redis
        .command(&["CONFIG", "GET", "client-output-buffer-limit"])
        .unwrap();
    assert!(limits.contains("pubsub 268435456 67108864 60"), "{limits}");

    assert!(redis.start_again().is_err(), "it runs already");
    redis.kill().unwrap();
    assert_eq!(redis.pid(), None);
    assert!(TcpStream::connect(redis.address()).is_err());
    redis.start_again().unwrap();
    assert_eq!(redis.command(&["DBSIZE"]).unwrap(), "0", "nothing is kept");

    redis.pause();
    let mut asking = TcpStream::connect(redis.address()).unwrap();
    asking.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    asking.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    assert!(asking.read(&mut answer).is_err(), "a frozen server answered");
    redis.resume();
    asking.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    asking.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");

    redis.stop().unwrap();
    redis.start_again().unwrap();
    redis.pause();
    let address = redis.address();
    drop(redis);
    assert!(TcpStream::connect(address).is_err(), "it outlived its handle");
}

#[test]
fn a_user_a_password_and_tls_are_asked_for() {
    let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
    let redis = Redis::start(Options {
        user: Some("huizhen".into()),
        password: Some("secret".into()),
        certificate: Some(Certificate {
            chain_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        }),
        ..Options::default()
    })
    .unwrap();
    assert_eq!(redis.command(&["ACL", "WHOAMI"]).unwrap(), "huizhen");
    assert!(
        redis.url().starts_with("rediss://huizhen:secret@127.0.0.1:"),
        "{}",
        redis.url()
    );
}

#[test]
fn a_setting_that_redis_refuses_is_told() {
    let options = Options {
        settings: vec!["nonsense yes".into()],
        ..Options::default()
    };
    let Err(error) = Redis::start(options) else {
        panic!("it started");
    };
    assert!(error.to_string().contains("nonsense"), "{error}");
}

#[test]
fn each_test_has_a_prefix_of_its_own() {
    let redis = Redis::shared();
    assert_ne!(redis.prefixed_url(), redis.prefixed_url());
}
