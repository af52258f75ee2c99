//! Calls of an app to services that answer as a test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::client::{Directory, DirectoryError};
use proto::rest::{CallError, Patience, Rest, RestDirectory};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Patience = Patience {
    answer: testkit::PATIENCE,
    attempts: 3,
};

/// A service with one answer for each call, in order; it keeps the requests.
struct Service {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn start(answers: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        Self::start_with(
            answers
                .into_iter()
                .map(|(status, body)| (status, body.to_string())),
        )
        .await
    }

    async fn start_with(answers: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        tokio::spawn(async move {
            while let Some((status, body)) = answers.pop_front() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = request(&mut stream).await;
                kept.lock().unwrap().push(request);
                let head = format!(
                    "HTTP/1.1 {status}\r\nretry-after: 0\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
        });
        Self { address, requests }
    }

    fn rest(&self) -> Rest {
        Rest::new(&format!("http://{}/", self.address), PATIENCE).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A request's head and body, in lower case.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

fn ok(result: Value) -> (&'static str, Value) {
    ("200 OK", json!({"success": true, "result": result}))
}

fn refused(status: &'static str, error: &str) -> (&'static str, Value) {
    (status, json!({"success": false, "error": error, "message": "no"}))
}

#[tokio::test]
async fn a_call_carries_its_token_key_and_body_and_returns_the_result() {
    let service = Service::start([ok(json!({"team_id": 7}))]).await;
    let rest = service.rest().by("secret");
    let made = rest
        .post_once("/team", "once", json!({"name": "a"}))
        .await
        .unwrap();
    assert_eq!(made["team_id"], 7);
    let request = &service.requests()[0];
    for part in [
        "post /team http/1.1\r\n",
        "x-auth-token: secret\r\n",
        "idempotency-key: once\r\n",
        r#"{"name":"a"}"#,
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
}

#[tokio::test]
async fn a_refusal_has_its_code_and_the_pause_that_the_service_asks_for() {
    let service = Service::start([refused("409 Conflict", "team.full")]).await;
    let error = service.rest().get("/team/7").await.unwrap_err();
    assert_eq!(error.to_string(), "GET /team/7 answers 409 team.full: no");
    assert!(matches!(
        error,
        CallError::Refused {
            status: 409,
            retry_after: Some(Duration::ZERO),
            ..
        }
    ));
}

#[tokio::test]
async fn a_busy_service_is_asked_again_a_limited_number_of_times() {
    let busy = || refused("503 Service Unavailable", "service.unavailable");
    let service = Service::start([busy(), busy(), ok(json!(1)), busy(), busy(), busy()]).await;
    assert_eq!(service.rest().get("/a").await.unwrap(), 1);
    let error = service.rest().get("/a").await.unwrap_err();
    assert!(matches!(error, CallError::Refused { status: 503, .. }), "{error}");
    assert_eq!(service.requests().len(), 6);
}

#[tokio::test]
async fn only_a_get_goes_to_the_next_service_when_one_does_not_answer() {
    let service = Service::start([ok(json!(1)), ok(json!(2))]).await;
    // Port 1 refuses connections: no program of the tests listens there.
    let both = format!("http://127.0.0.1:1,http://{}", service.address);
    let rest = Rest::new(&both, PATIENCE).unwrap();
    assert_eq!(rest.get("/a").await.unwrap(), 1);
    assert_eq!(
        rest.get("/a").await.unwrap(),
        2,
        "the one that answered is asked first"
    );
    let rest = Rest::new(&both, PATIENCE).unwrap();
    let error = rest.post("/a", json!({})).await.unwrap_err();
    assert!(error.to_string().starts_with("http://127.0.0.1:1/a: "), "{error}");
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn another_program_at_the_address_is_named() {
    let service = Service::start_with([("404 Not Found", "<html>".to_owned())]).await;
    let error = service.rest().get("/a").await.unwrap_err();
    let expected = format!(
        "http://{}/a: not an answer of Huizhen (status 404 Not Found)",
        service.address
    );
    assert_eq!(error.to_string(), expected);
}

// protocol: "Skip unknown fields of the answer"
#[tokio::test]
async fn a_directory_knows_nodes_and_passwords_and_when_to_stay_away() {
    let nodes = json!([
        {"ip": "10.0.0.1", "port": 9501, "ws_port": 9502, "wss": "wss://im1.example.com/", "zone": {"name": "east"}},
        {"ip": "no address", "port": 9501},
    ]);
    let password = json!({"password": "p", "expire": 3600});
    let service = Service::start([
        ok(nodes.clone()),
        ok(nodes),
        ok(password),
        refused("401 Unauthorized", "auth.required"),
        refused("500 Internal Server Error", "internal"),
    ])
    .await;
    let rest = service.rest();
    let servers = rest.servers().await.unwrap();
    assert_eq!(servers[0].ws(), Some(([10, 0, 0, 1], 9502).into()));
    assert_eq!((servers[0].tls(), servers[1].tcp()), (None, None));
    let directory = RestDirectory::new(rest);
    let addresses: Vec<SocketAddr> = directory
        .servers()
        .await
        .unwrap()
        .iter()
        .map(|node| node.address)
        .collect();
    assert_eq!(addresses, [([10, 0, 0, 1], 9501).into()]);
    let password = directory.password().await.unwrap();
    assert_eq!((password.password.as_str(), password.expire_s), ("p", 3600));
    assert!(matches!(
        directory.password().await,
        Err(DirectoryError::Refused(_))
    ));
    assert!(matches!(
        directory.password().await,
        Err(DirectoryError::Unavailable(_))
    ));
}
