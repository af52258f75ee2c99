//! A fleet of real processes, and users on it whose good clients record their events.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use loadtest::server::unlimited::{api_arguments, node_arguments};
use loadtest::server::usage::metric_at;
use loadtest::world::rest::{Rest, reachable};
use loadtest::world::{Builder, SmsWebhook, User};
use proto::client::{Client, Event, Events, Outgoing, Settings, Snapshot};
use proto::wire::{ByeReason, EntryKind, Platform};
use testkit::backplane::Kind;
use testkit::eventually;
use testkit::fleet::{Fleet, Plan};

use super::fleet::programs;

/// A fleet and the way to it.
pub struct Running {
    pub fleet: Fleet,
    pub rest: Rest,
    pub builder: Builder,
}

impl Running {
    pub async fn start(nodes: u32, api_servers: u32, further: &[&str]) -> Self {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sms = Arc::new(SmsWebhook::listen(([127, 0, 0, 1], 0).into()).await.unwrap());
        let mut arguments = node_arguments(1000);
        arguments.extend(further.iter().map(|argument| (*argument).to_owned()));
        let fleet = Box::pin(Fleet::start(Plan {
            nodes,
            api_servers,
            redis: Kind::Single,
            programs: Some(programs().to_owned()),
            node_arguments: arguments,
            api_arguments: api_arguments(&sms.url()),
            ..Plan::default()
        }))
        .await
        .unwrap();
        let rest = Rest::new(&fleet.rest_urls().join(",")).unwrap();
        reachable(&rest).await.unwrap();
        let builder = Builder::new(rest.clone(), sms, 1);
        Self { fleet, rest, builder }
    }

    /// How many sessions a node says it has.
    pub async fn sessions(&self, node: usize) -> u64 {
        let admin = self.fleet.nodes[node].ports().admin.unwrap();
        let sessions = metric_at(&format!("http://{admin}/metrics"), "huizhen_im_sessions").await;
        sessions.ok().flatten().unwrap_or_default() as u64
    }

    /// Waits until the nodes report this many sessions in total.
    pub async fn sessions_become(&self, nodes: &[usize], expected: u64) {
        eventually("the nodes have the sessions", async || {
            let mut sum = 0;
            for node in nodes {
                sum += self.sessions(*node).await;
            }
            sum == expected
        })
        .await;
    }

    /// Waits until the directory of nodes says so, too: a node announces its load every two seconds.
    pub async fn directory_tells(&self, expected: u64) {
        eventually("the directory has the sessions", async || {
            let redis = self.fleet.backplane.single().unwrap();
            let directory = redis.command(&["KEYS", "huizhen:*:nodes"]).unwrap();
            let lines = redis.command(&["HVALS", directory.trim()]).unwrap();
            let told = lines.lines().filter_map(|line| {
                // Behind an authenticator, and until when.
                let record: serde_json::Value =
                    serde_json::from_str(&line[line.find("{\"node_id")?..]).ok()?;
                record["sessions"].as_u64()
            });
            told.sum::<u64>() == expected
        })
        .await;
    }

    pub fn member(&self, user: &User) -> Member {
        let mut settings = Settings::new(user.user_id, user.device_id.clone(), Platform::Android);
        settings.sync_limit = 500;
        let directory = self.rest.directory(&user.access_token);
        let (client, events) = Client::start(directory, settings, Snapshot::default());
        let log = Arc::new(Mutex::new(Log::default()));
        tokio::spawn(listen(events, log.clone()));
        Member {
            user_id: user.user_id,
            client,
            log,
        }
    }

    /// Users whose clients have logged in and synced.
    pub async fn members(&self, users: &[User]) -> Vec<Member> {
        let members: Vec<Member> = users.iter().map(|user| self.member(user)).collect();
        eventually("everybody is there", async || {
            members.iter().all(|member| member.log().is_synced)
        })
        .await;
        members
    }
}

/// A user with a good client.
pub struct Member {
    pub user_id: i64,
    pub client: Client,
    log: Arc<Mutex<Log>>,
}

/// The events of a client.
#[derive(Default)]
pub struct Log {
    /// Whether it is synced on the connection that it has.
    pub is_synced: bool,
    /// Connections that ended, and attempts that failed.
    pub disconnected: u32,
    pub byes: Vec<ByeReason>,
    /// Acknowledged messages: their seq.
    pub acked: HashMap<String, i64>,
    pub failed: Vec<String>,
    /// The messages of each conversation, in the order of arrival.
    pub heard: HashMap<i64, Vec<(i64, String)>>,
}

impl Member {
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    pub async fn say(&self, conversation_id: i64, text: &str) {
        let message = Outgoing {
            conversation_id,
            client_msg_id: text.to_owned(),
            mime_type: "text/plain".to_owned(),
            body: text.to_owned().into(),
            mentions: Vec::new(),
            reply_to_seq: 0,
            corrects_seq: 0,
        };
        self.client.send_message(message).await.unwrap();
    }
}

async fn listen(mut events: Events, log: Arc<Mutex<Log>>) {
    while let Some(event) = events.next().await {
        let mut log = log.lock().unwrap();
        match event {
            Event::Synced { .. } => {
                log.is_synced = true;
            }
            Event::Disconnected { .. } => {
                log.is_synced = false;
                log.disconnected += 1;
            }
            Event::Bye { reason, .. } => log.byes.push(ByeReason::try_from(reason).unwrap()),
            Event::Sent {
                client_msg_id, seq, ..
            } => {
                let before = log.acked.insert(client_msg_id, seq);
                assert!(
                    before.is_none_or(|before| before == seq),
                    "two seqs of one message"
                );
            }
            Event::SendFailed {
                client_msg_id, error, ..
            } => log.failed.push(format!("{client_msg_id}: {}", error.message)),
            // The complaint is a message, too.
            Event::Entry(entry) if entry.kind() == EntryKind::Message && entry.mime_type == "text/plain" => {
                let text = String::from_utf8(entry.body.to_vec()).unwrap();
                let heard = log.heard.entry(entry.conversation_id).or_default();
                heard.push((entry.seq, text));
            }
            _ => {}
        }
    }
}

/// Each member of a conversation got each of `texts` once, and all in one order, that of the seqs.
pub fn assert_heard_alike(conversation_id: i64, members: &[&Member], texts: &HashSet<String>) {
    let mut first: Option<Vec<(i64, String)>> = None;
    for member in members {
        let heard = member
            .log()
            .heard
            .get(&conversation_id)
            .cloned()
            .unwrap_or_default();
        assert!(heard.is_sorted_by(|a, b| a.0 < b.0), "out of order");
        let told: HashSet<String> = heard.iter().map(|(_, text)| text.clone()).collect();
        assert_eq!(
            told.len(),
            heard.len(),
            "something came twice to {}",
            member.user_id
        );
        assert!(
            told == *texts,
            "{} heard {} of {}",
            member.user_id,
            told.len(),
            texts.len()
        );
        match &first {
            Some(first) => assert!(*first == heard, "{} heard another order", member.user_id),
            None => first = Some(heard),
        }
    }
}
