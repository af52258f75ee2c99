//! A running service and its surroundings.

use std::{
    collections::HashMap,
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use api_server::{DoctorVerification, MediaPlace, Settings, SmsProvider};
use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use backplane::Backplane;
use database::Database;
use journal::Journal;
use parking_lot::Mutex;
use serde_json::Value;
use testkit::store::{Place, Store};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A running service; it ends with the test.
pub struct Service {
    pub url: String,
    pub address: SocketAddr,
    pub database: Database,
    pub journal: Journal,
    pub backplane: Backplane,
    pub sms: Inbox,
    pub client: reqwest::Client,
    pub shutdown: CancellationToken,
    pub ended: Option<JoinHandle<anyhow::Result<()>>>,
    pub settings: Settings,
    pub place: Arc<Place>,
    pub tls: Option<Secure>,
    /// The folder of media, where the service keeps them.
    pub media: Option<Arc<tempfile::TempDir>>,
}

/// The listener with TLS, where the settings ask for one.
pub struct Secure {
    pub address: SocketAddr,
    /// `cert.pem` and `key.pem`, for localhost.
    pub folder: tempfile::TempDir,
}

impl Secure {
    /// Writes a new pair into a folder.
    pub fn make(folder: &std::path::Path) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    /// The certificate that lies there.
    pub fn certificate(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("cert.pem")).unwrap()
    }
}

/// The phones: the last code that each got.
#[derive(Clone, Default)]
pub struct Inbox {
    codes: Arc<Mutex<HashMap<String, String>>>,
    broken: Arc<AtomicBool>,
}

impl Inbox {
    pub fn code(&self, phone: &str) -> Option<String> {
        self.codes.lock().get(phone).cloned()
    }

    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Reply {
    /// The result, of an answer that must be a success.
    #[track_caller]
    pub fn result(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.json["success"], true, "{}", self.text);
        assert_eq!(self.json["code"], 200, "{}", self.text);
        self.json["result"].clone()
    }

    /// Checks a refusal.
    #[track_caller]
    pub fn refused(&self, status: u16, word: &str) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.json["success"], false, "{}", self.text);
        assert_eq!(self.json["code"], status, "{}", self.text);
        assert_eq!(self.json["error"], word, "{}", self.text);
        assert!(!self.json["message"].as_str().unwrap().is_empty());
        assert_eq!(self.json["request_id"], self.header("x-request-id"));
        self
    }

    /// Checks the field of a refusal.
    #[track_caller]
    pub fn field(&self, field: &str) -> &Self {
        assert_eq!(self.json["field"], field, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no header {name}: {}", self.text))
            .to_str()
            .unwrap()
    }
}

/// A request to be sent.
pub struct Call<'s> {
    builder: reqwest::RequestBuilder,
    service: &'s Service,
}

impl Call<'_> {
    pub fn token(mut self, token: &str) -> Self {
        self.builder = self.builder.header("X-AUTH-TOKEN", token);
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub fn key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    pub fn json(mut self, body: Value) -> Self {
        self.builder = self.builder.json(&body);
        self
    }

    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.builder = self.builder.body(body);
        self
    }

    pub async fn send(self) -> Reply {
        self.try_send().await.unwrap()
    }

    /// Sends it, and holds the answer against the OpenAPI document.
    pub async fn try_send(self) -> reqwest::Result<Reply> {
        let request = self.builder.build()?;
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.service.client.execute(request).await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await?;
        crate::contract::check(method.as_str(), &path, status, &text);
        Ok(Reply {
            status,
            headers,
            json: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        })
    }
}

/// Settings under which no test meets a limit that it does not look for.
pub fn roomy() -> Settings {
    Settings {
        requests_per_s_user: NonZeroU32::new(10_000).unwrap(),
        requests_per_s_address: NonZeroU32::new(10_000).unwrap(),
        sms_per_hour_address: NonZeroU32::new(1_000_000).unwrap(),
        wrong_logins_address: NonZeroU32::new(1_000_000).unwrap(),
        doctor_verification: DoctorVerification::None,
        ..Settings::default()
    }
}

/// The service closes a connection after ten idle seconds, perhaps just when the next request is sent on it.
fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy();
    client.pool_idle_timeout(Duration::from_secs(5)).build().unwrap()
}

impl Service {
    pub async fn start() -> Self {
        Self::start_with(roomy()).await
    }

    /// With SMS codes through the webhook.
    pub async fn start_with(settings: Settings) -> Self {
        let sms = Inbox::default();
        let settings = Settings {
            sms_provider: SmsProvider::Webhook,
            sms_webhook_url: Some(listen_for_sms(sms.clone()).await),
            ..settings
        };
        Self::start_as(settings, sms).await
    }

    /// That keeps media in a folder.
    pub async fn with_media() -> Self {
        Self::with_media_and(roomy()).await
    }

    /// The same with other settings.
    pub async fn with_media_and(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            media_place: MediaPlace::Folder(folder.path().join("media")),
            ..settings
        };
        let mut service = Self::start_with(settings).await;
        service.media = Some(Arc::new(folder));
        service
    }

    /// Another service on the same database and backplane, as in a fleet. A server's database gets a handle of its own; a
    /// file has one, and refuses a second.
    pub async fn beside(&self) -> Self {
        let database = match super::STORE {
            Store::Sqlite => self.database.clone(),
            Store::Postgres => Database::open(self.place.url()).await.unwrap(),
        };
        Self::serve(
            self.settings.clone(),
            self.sms.clone(),
            database,
            self.backplane.clone(),
            self.place.clone(),
        )
        .await
    }

    /// The same without a server, for another runtime.
    pub fn at_rest(&self) -> Self {
        Self {
            url: self.url.clone(),
            address: self.address,
            database: self.database.clone(),
            journal: self.journal.clone(),
            backplane: self.backplane.clone(),
            sms: self.sms.clone(),
            client: self.client.clone(),
            shutdown: CancellationToken::new(),
            ended: None,
            settings: self.settings.clone(),
            place: self.place.clone(),
            tls: None,
            media: None,
        }
    }

    /// Ends what runs, and keeps the database open.
    pub async fn rest(&mut self) {
        self.shutdown.cancel();
        let ended = self.ended.take().unwrap();
        ended.await.unwrap().unwrap();
    }

    /// With exactly these settings.
    pub async fn start_as(settings: Settings, sms: Inbox) -> Self {
        let place = super::STORE.place(crate::migrated).await;
        Self::on(place, settings, sms).await
    }

    /// On a database that there is.
    pub async fn on(place: Place, settings: Settings, sms: Inbox) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = Database::open(place.url()).await.unwrap();
        Self::serve(settings, sms, database, Backplane::memory(), Arc::new(place)).await
    }

    async fn serve(
        settings: Settings,
        sms: Inbox,
        database: Database,
        backplane: Backplane,
        place: Arc<Place>,
    ) -> Self {
        let journal = Journal::new(database.clone(), backplane.clone());
        let journal = match settings.media_place {
            MediaPlace::None => journal,
            _ => journal.checking_media(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let service = api_server::Service::prepare(
            settings.clone(),
            database.clone(),
            journal.clone(),
            backplane.clone(),
            shutdown.clone(),
        )
        .await
        .unwrap();
        let mut tls = None;
        let mut listeners = api_server::Listeners::from(listener);
        if settings.rest_tls_addr.is_some() {
            let folder = tempfile::tempdir().unwrap();
            Secure::make(folder.path());
            let (chain, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
            let files = program::certificate::Files::of(Some(&chain), Some(&key)).unwrap();
            let certificate = program::certificate::Certificate::load(&files, &[]).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tls = Some(Secure { address, folder });
            listeners.tls = Some((listener, certificate));
        }
        let ended = tokio::spawn(service.serve(listeners));
        Self {
            url: format!("http://{address}"),
            address,
            database,
            journal,
            backplane,
            sms,
            client: client(),
            shutdown,
            ended: Some(ended),
            settings,
            place,
            tls,
            media: None,
        }
    }

    pub fn call(&self, method: reqwest::Method, path: &str) -> Call<'_> {
        Call {
            builder: self.client.request(method, format!("{}{path}", self.url)),
            service: self,
        }
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(reqwest::Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Call<'_> {
        self.call(reqwest::Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Call<'_> {
        self.call(reqwest::Method::PUT, path)
    }

    pub fn delete(&self, path: &str) -> Call<'_> {
        self.call(reqwest::Method::DELETE, path)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn listen_for_sms(inbox: Inbox) -> url::Url {
    async fn receive(State(inbox): State<Inbox>, Json(message): Json<Value>) -> StatusCode {
        if inbox.broken.load(Ordering::SeqCst) {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        let text = |name: &str| message[name].as_str().unwrap().to_owned();
        inbox.codes.lock().insert(text("phone"), text("code"));
        StatusCode::OK
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sms", listener.local_addr().unwrap());
    let router = Router::new().route("/sms", post(receive)).with_state(inbox);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url.parse().unwrap()
}
