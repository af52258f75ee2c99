//! Another fleet on the same Redis: staging beside production, with the same prefix. Its passwords must log in on no
//! other fleet, its nodes must be named to no other client, and its publications must reach no other node.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use proto::wire::{self, client_frame};
use testkit::fleet::{Fleet, Server};
use tokio::time::sleep;

use crate::workload::bare::Bare;
use crate::workload::soak::notes::Notes;
use crate::world::rest::{Rest, reachable};
use crate::world::{Builder, SmsWebhook, World};

/// Its users: user ids and conversation ids begin at the same numbers in each database.
const CONSULTS: u32 = 4;
const MEMBERS: u32 = 3;
/// Between two of its messages.
const PAUSE: Duration = Duration::from_millis(50);

/// Starts one, lets it talk for this long, and ends it.
pub(in crate::workload::soak::faults) async fn beside(
    fleet: &Fleet,
    sms: &std::sync::Arc<SmsWebhook>,
    seed: u64,
    length: Duration,
    notes: &Notes,
) -> Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let database = format!("foreign{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let (mut api, mut node) = Box::pin(fleet.start_foreign(&database)).await?;
    let outcome = talk(fleet, (&api, &node), sms, seed, length, notes).await;
    node.kill()?;
    api.kill()?;
    if let Err(error) = outcome {
        // It may be refused by a Redis that is another's, which is as good.
        notes.foreign(format!("{error:#}"));
    }
    Ok(())
}

async fn talk(
    fleet: &Fleet,
    (api, node): (&Server, &Server),
    sms: &std::sync::Arc<SmsWebhook>,
    seed: u64,
    length: Duration,
    notes: &Notes,
) -> Result<()> {
    let rest = Rest::new(&format!("http://{}", api.address().context("no address")?))?;
    reachable(&rest).await?;
    let world = Builder::new(rest.clone(), sms.clone(), seed + 7)
        .consults(CONSULTS, MEMBERS)
        .await?;
    let foreign = node.address().context("no address")?;
    for own in fleet.rest_urls() {
        let reader = notes.readers().first().context("no reader to ask for nodes")?;
        let servers = Rest::new(&own)?.servers(&reader.user.access_token).await?;
        if servers.iter().any(|server| server.tcp() == Some(foreign)) {
            notes.fault("GET /im/servers names a node of another fleet".to_owned());
        }
    }
    log_in_elsewhere(fleet, &world, notes).await;
    let mut talkers = Vec::new();
    for conversation in &world.conversations {
        let user = &world.users[conversation.members[0] as usize];
        talkers.push((
            Bare::log_in(foreign, user, &user.password).await?,
            conversation.id,
        ));
    }
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < length {
        for (bare, conversation_id) in &mut talkers {
            number += 1;
            bare.ask(client_frame::Body::Send(wire::Send {
                conversation_id: *conversation_id,
                client_msg_id: format!("foreign-{number}"),
                mime_type: "text/plain".to_owned(),
                body: format!("of another fleet {number}").into_bytes().into(),
                mentions: Vec::new(),
                reply_to_seq: 0,
                ..wire::Send::default()
            }))
            .await?;
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Tries passwords of its users on nodes of the other fleet, on a device that no user there has.
async fn log_in_elsewhere(fleet: &Fleet, world: &World, notes: &Notes) {
    for (at, user) in world.users.iter().enumerate() {
        let node = &fleet.nodes[at % fleet.nodes.len()];
        let Some(address) = node.address() else { continue };
        if Bare::log_in(address, user, &user.password).await.is_ok() {
            notes.fault(format!(
                "a password of another fleet logs in as user {}",
                user.user_id
            ));
        }
    }
}
