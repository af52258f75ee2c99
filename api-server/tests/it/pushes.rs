//! Events of a consult reach its participants on all their devices at once: real sockets, the real client.

use std::{collections::BTreeMap, time::Duration};

use clap::Parser;
use im_server::{Listeners, Node};
use proto::{
    client::{Address, Client, Directory, DirectoryError, Event, Events, Password, Settings, Snapshot},
    wire::{self, EntryKind, Platform},
};
use serde_json::json;
use testkit::PATIENCE;
use tokio::{net::TcpListener, time::timeout};

use super::{people::Person, scene::Scene, service::Service};

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    settings: im_server::Settings,
}

/// Finds the nodes and gets its passwords as an app does.
struct ByRest {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl ByRest {
    async fn get(&self, path: &str) -> Result<serde_json::Value, DirectoryError> {
        let unavailable = |error: reqwest::Error| DirectoryError::Unavailable(error.to_string());
        let response = self
            .client
            .get(format!("{}{path}", self.url))
            .header("X-AUTH-TOKEN", &self.token)
            .send()
            .await
            .map_err(unavailable)?;
        if response.status() == 401 {
            return Err(DirectoryError::Refused("logged out".into()));
        }
        let answer: serde_json::Value = response.json().await.map_err(unavailable)?;
        Ok(answer["result"].clone())
    }
}

impl Directory for ByRest {
    async fn servers(&self) -> Result<Vec<Address>, DirectoryError> {
        let servers = self.get("/im/servers").await?;
        let address = |server: &serde_json::Value| {
            let address = format!("{}:{}", server["ip"].as_str().unwrap(), server["port"]);
            Address::tcp(address.parse().unwrap())
        };
        Ok(servers.as_array().unwrap().iter().map(address).collect())
    }

    async fn password(&self) -> Result<Password, DirectoryError> {
        let password = self.get("/im/password").await?;
        Ok(Password {
            password: password["password"].as_str().unwrap().to_owned(),
            expire_s: 3600,
        })
    }
}

/// A device, online.
pub struct Device {
    who: i64,
    client: Client,
    events: Events,
    /// Conversations that it leaves off its lists, and through which entry.
    hidden: BTreeMap<i64, i64>,
}

/// A node beside the service, and the devices that talk to it.
pub async fn start_node(service: &Service) -> Node {
    let bind = || async { TcpListener::bind("127.0.0.1:0").await.unwrap() };
    let listeners = Listeners {
        tcp: bind().await,
        ws: None,
        tls: None,
    };
    let settings = Flags::parse_from(["test"]).settings;
    Node::start_with(&settings, service.journal.clone(), listeners)
        .await
        .unwrap()
}

impl Device {
    pub async fn online(service: &Service, who: &Person) -> Self {
        let directory = ByRest {
            client: service.client.clone(),
            url: service.url.clone(),
            token: who.token.clone(),
        };
        let settings = Settings::new(who.id, who.device_id.clone(), Platform::Ios);
        let (client, events) = Client::start(directory, settings, Snapshot::default());
        let mut device = Self {
            who: who.id,
            client,
            events,
            hidden: BTreeMap::new(),
        };
        device.until(|event| matches!(event, Event::Synced { .. })).await;
        device
    }

    /// The node says goodbye for this reason.
    pub async fn is_sent_away(&mut self, wanted: wire::ByeReason) {
        self.until(|event| matches!(event, Event::Bye { reason, .. } if *reason == wanted as i32))
            .await;
    }

    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let found = timeout(PATIENCE, async {
            loop {
                let event = self.events.next().await.expect("the client goes on");
                if let Event::Hidden(hidden) = &event {
                    self.hidden.insert(hidden.conversation_id, hidden.through_seq);
                }
                if wanted(&event) {
                    return event;
                }
            }
        });
        found
            .await
            .unwrap_or_else(|_| panic!("it did not come to {}", self.who))
    }

    /// The conversations that it keeps off its lists, and through which entry; 0: put back.
    pub const fn hidden(&self) -> &BTreeMap<i64, i64> {
        &self.hidden
    }

    /// Waits until it hears of a conversation that it is hidden through an entry; of 0 that it is put back.
    pub async fn hears_hidden(&mut self, conversation: i64, through: i64) {
        if self.hidden.get(&conversation) != Some(&through) {
            self.until(|event| {
                matches!(event, Event::Hidden(hidden)
                    if (hidden.conversation_id, hidden.through_seq) == (conversation, through))
            })
            .await;
        }
    }

    /// Writes a message, and waits until it is durable.
    pub async fn say(&mut self, conversation: i64, text: &str) -> i64 {
        let sent = self.client.send(conversation, "text/plain", text.to_owned());
        let id = sent.await.unwrap();
        let event = self
            .until(|event| matches!(event, Event::Sent { client_msg_id, .. } if *client_msg_id == id))
            .await;
        match event {
            Event::Sent { seq, .. } => seq,
            _ => unreachable!(),
        }
    }

    /// The next entry of a kind in a conversation.
    pub async fn entry(&mut self, conversation: i64, kind: EntryKind) -> wire::Entry {
        let event = self
            .until(|event| {
                matches!(event, Event::Entry(entry)
                    if entry.conversation_id == conversation && entry.kind == kind as i32)
            })
            .await;
        match event {
            Event::Entry(entry) => *entry,
            _ => unreachable!(),
        }
    }
}

#[tokio::test]
async fn every_step_of_a_consult_reaches_all_devices_of_the_people_concerned() {
    let scene = Scene::new().await;
    let service = &scene.service;
    let node = start_node(service).await;
    let patient = service.register("李雷", "member", Some("correct horse")).await;
    let tablet = service.log_in(&patient, "correct horse", "tablet").await;
    let mut devices = Vec::new();
    for person in [&patient, &tablet, &scene.team.assistant, &scene.doctor] {
        devices.push(Device::online(service, person).await);
    }
    let other = service.doctor_of(&scene.team, "Dr. C").await;
    let mut theirs = Device::online(service, &other).await;

    // Begun: the patient's devices and the assistant's learn of it.
    let consult = service.consult(&patient, &scene.team).await;
    for device in &mut devices[..3] {
        device.entry(consult, EntryKind::ParticipantJoined).await;
    }
    let shown = service.bring_in(&scene.team, consult, &scene.doctor).await;
    let room = shown["staff_conversation_id"].as_i64().unwrap();
    for device in &mut devices {
        let status = device.entry(consult, EntryKind::StatusChanged).await;
        assert!(
            matches!(status.event, Some(wire::entry::Event::Status(status)) if status.status == "in_process")
        );
    }

    // Proposed and confirmed: a card on every device.
    let path = format!("/consult/{consult}/vas");
    let body = json!({"name": "视频复诊", "description": "一次", "price_fen": 9_900});
    let vas = scene.post(&scene.doctor, path, body).await.result()["vas_id"]
        .as_i64()
        .unwrap();
    for device in &mut devices {
        let card = device.entry(consult, EntryKind::VasProposed).await;
        assert_eq!(card.mime_type, "application/vnd.huizhen.vas");
        let body = <wire::VasCard as prost::Message>::decode(card.body).unwrap();
        assert_eq!(
            (body.vas_id, body.price_fen, body.name.as_str()),
            (vas, 9_900, "视频复诊")
        );
        assert!(matches!(card.event, Some(wire::entry::Event::Vas(vas)) if vas.state == "proposed"));
    }
    scene
        .post(&tablet, format!("/vas/{vas}/confirm"), json!({}))
        .await
        .result();
    for device in &mut devices {
        let card = device.entry(consult, EntryKind::VasConfirmed).await;
        assert_eq!(card.sender_id, patient.id);
    }

    // Handed over: the new doctor has both conversations; the former one sees their own leave, and nothing later.
    let body = json!({"doctor_id": other.id});
    scene
        .post(&scene.doctor, format!("/consult/{consult}/handover"), body)
        .await
        .result();
    for conversation in [consult, room] {
        theirs.entry(conversation, EntryKind::ParticipantJoined).await;
    }
    for device in &mut devices {
        let left = device.entry(consult, EntryKind::ParticipantLeft).await;
        assert!(
            matches!(left.event, Some(wire::entry::Event::Participant(who)) if who.user_id == scene.doctor.id)
        );
    }
    scene
        .post(&other, format!("/consult/{consult}/finish"), json!({}))
        .await
        .result();
    for device in devices[..3].iter_mut().chain([&mut theirs]) {
        let status = device.entry(consult, EntryKind::StatusChanged).await;
        assert!(
            matches!(status.event, Some(wire::entry::Event::Status(status)) if status.status == "finished" && !status.open)
        );
    }
    drop(devices);
    node.drain(Duration::from_secs(1)).await;
}
