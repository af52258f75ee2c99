//! The devices of a soak: who has which, and with which client.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{sleep, timeout};

use super::device::{Device, Software};
use super::plain::Manner;
use super::visitor::Visitor;
use crate::progress::Progress;
use crate::workload::soak::notes::Notes;
use crate::workload::soak::notes::scribe::{Part, Scribe, Who};
use crate::world::rest::Rest;
use crate::world::{User, World};

/// How long the first connection of all clients may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(120);

/// Of a consult the patient is the first member, the team's assistant the second.
const ASSISTANT: usize = 1;
/// The assistant reads the journal by History at the end, through the client of `proto`.
const FULL: Software = Software::Full { sync_limit: 500 };
const PAGING: Software = Software::Full { sync_limit: 3 };

/// The devices of each conversation: those of its members in order, then the first one's second.
pub(in crate::workload::soak) fn start_devices(
    rest: &Rest,
    world: &World,
    second: &[User],
    notes: &Arc<Notes>,
) -> Vec<Vec<Device>> {
    let mut number = 0;
    world
        .conversations
        .iter()
        .zip(second)
        .enumerate()
        .map(|(conversation, (what, second))| {
            let members = what.members.iter().map(|member| &world.users[*member as usize]);
            let of_it = members.chain([second]).enumerate().map(|(place, user)| {
                let who = Who {
                    number,
                    conversation,
                    place,
                    user_id: user.user_id,
                    conversation_id: what.id,
                    part: Part::Member,
                };
                number += 1;
                let is_full = place == ASSISTANT || (place == what.members.len() && conversation % 2 == 1);
                let software = if is_full {
                    FULL
                } else {
                    Software::Plain(Manner::STEADY)
                };
                start(rest, user, &software, who, notes)
            });
            of_it.collect()
        })
        .collect()
}

/// One visitor for each conversation, whose numbers follow those of `devices`: by turns one that wanders and one that
/// pages.
pub(in crate::workload::soak) fn start_visitors(
    rest: &Rest,
    world: &World,
    visitors: &[User],
    notes: &Arc<Notes>,
    devices: &[Vec<Device>],
) -> Vec<Visitor> {
    let first: usize = devices.iter().map(Vec::len).sum();
    world
        .conversations
        .iter()
        .zip(visitors)
        .enumerate()
        .map(|(conversation, (what, user))| {
            let who = Who {
                number: (first + conversation) as u32,
                conversation,
                place: what.members.len() + 1,
                user_id: user.user_id,
                conversation_id: what.id,
                part: Part::Visitor,
            };
            let wanders = conversation % 4 != 3;
            let software = if wanders {
                Software::Plain(Manner::WANDERING)
            } else {
                PAGING
            };
            let assistant = &world.users[what.members[ASSISTANT] as usize];
            let patient = world.users[what.members[0] as usize].clone();
            Visitor::new(
                start(rest, user, &software, who, notes),
                assistant.clone(),
                patient,
            )
        })
        .collect()
}

fn start(rest: &Rest, user: &User, software: &Software, who: Who, notes: &Arc<Notes>) -> Device {
    let directory = rest.directory(&user.access_token);
    Device::start(directory, user, software, Scribe::new(who, notes.clone()))
}

/// Waits until each device was connected and synced once.
pub(in crate::workload::soak) async fn wait_until_connected(devices: &[&Device]) -> Result<()> {
    let mut progress = Progress::begin("connecting", devices.len() as u64);
    let all = async {
        let mut missing = devices.to_vec();
        loop {
            missing.retain(|device| !device.scribe.has(0, 0));
            progress.at((devices.len() - missing.len()) as u64, "devices");
            if missing.is_empty() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(CONNECT_LIMIT, all)
        .await
        .with_context(|| format!("not every client was connected and synced within {CONNECT_LIMIT:?}"))
}
