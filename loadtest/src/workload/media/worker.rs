//! A worker: a patient puts a medium and names it in a message, and the assistant of the consult gets it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use prost::Message;
use proto::wire::{self, client_frame, server_frame};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::sample::{Digest, Kind, Sample, compare, digest, hex};
use super::web::{Web, longer_side};
use crate::generator::schedule::Chance;
use crate::workload::bare::Bare;
use crate::workload::rest::figures::Figures;
use crate::world::User;
use crate::world::rest::Rest;

/// The pictures of a list.
const SMALL: u32 = 320;
/// The media that are got again, of each worker.
const MOST_KNOWN: usize = 64;
/// Workers and phases have numbers of their own in this distance.
const NUMBERS_OF_ONE: u64 = 1 << 20;

pub(super) const ASK: &str = "POST /media";
pub(super) const PUT: &str = "PUT of the bytes";
pub(super) const FINISH: &str = "POST /media/{id}/finish";
pub(super) const SEND: &str = "Send that names it";
pub(super) const GET: &str = "GET /media/{id}";
pub(super) const SMALLER: &str = "GET /media/{id}?max=320";
pub(super) const PART: &str = "GET /media/{id}, Range";

/// The calls of one worker or of all, and the bytes.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) figures: Figures,
    pub(super) media: u64,
    pub(super) put_bytes: u64,
    pub(super) got_bytes: u64,
}

impl Done {
    pub(super) fn add(&mut self, other: Self) {
        self.figures.add(other.figures);
        self.media += other.media;
        self.put_bytes += other.put_bytes;
        self.got_bytes += other.got_bytes;
    }

    /// HTTP requests; a Send is none.
    pub(super) fn requests(&self) -> u64 {
        let sends = self.figures.times(SEND).map_or(0, |times| times.count());
        self.figures.calls() - sends
    }
}

/// A worker with its consult.
pub(super) struct Worker {
    rest: Rest,
    web: Web,
    bare: Bare,
    conversation: i64,
    patient: User,
    assistant: User,
    sample: Arc<Sample>,
    dice: Chance,
    next: u64,
    known: Vec<Known>,
    done: Done,
}

/// A medium that was put.
#[derive(Clone, Copy)]
struct Known {
    id: i64,
    number: u64,
    sha256: Digest,
    /// Of the smaller picture, once it was got.
    smaller: Option<Digest>,
}

#[derive(Deserialize)]
struct Upload {
    media_id: i64,
    uri: String,
    ticket: Ticket,
}

#[derive(Deserialize)]
struct Ticket {
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// The place of a worker.
pub(super) struct Place {
    pub(super) number: u64,
    /// The REST service that it calls.
    pub(super) base: String,
    pub(super) bare: Bare,
    pub(super) conversation: i64,
    pub(super) patient: User,
    pub(super) assistant: User,
}

impl Worker {
    pub(super) fn new(place: Place, sample: Arc<Sample>, seed: u64) -> Result<Self> {
        Ok(Self {
            rest: Rest::new(&place.base)?,
            web: Web::new(&place.base)?,
            bare: place.bare,
            conversation: place.conversation,
            patient: place.patient,
            assistant: place.assistant,
            sample,
            dice: Chance::new(seed ^ place.number),
            next: place.number * NUMBERS_OF_ONE,
            known: Vec::new(),
            done: Done::default(),
        })
    }

    /// Puts and gets until `ended`; one that meets a fault stops. Returns itself for the next phase, and what it has done.
    pub(super) async fn work(
        mut self,
        per_second: Option<f64>,
        mut ended: watch::Receiver<bool>,
    ) -> (Self, Done) {
        let mut ticks = per_second.map(|rate| {
            let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        while !*ended.borrow() {
            if let Some(ticks) = &mut ticks {
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = ended.changed() => break,
                }
            }
            if let Err(error) = self.round().await {
                self.done.figures.fault(format!("{error:#}"));
                break;
            }
        }
        let done = std::mem::take(&mut self.done);
        (self, done)
    }

    async fn round(&mut self) -> Result<()> {
        let mut known = self.put().await?;
        self.get(&known).await?;
        if Kind::of(known.number) == Kind::Picture {
            self.get_smaller(&mut known).await?;
        }
        self.get_part(&known).await?;
        self.known.push(known);
        let at = self.dice.below(self.known.len());
        let mut earlier = self.known[at];
        // As a list does.
        match Kind::of(earlier.number) {
            Kind::Picture => self.get_smaller(&mut earlier).await?,
            Kind::File => self.get(&earlier).await?,
        }
        if self.known.len() > MOST_KNOWN {
            self.known.swap_remove(at);
        }
        Ok(())
    }

    async fn put(&mut self) -> Result<Known> {
        let number = self.next;
        self.next += 1;
        let (kind, token) = (Kind::of(number), self.patient.access_token.clone());
        let bytes = self.sample.numbered(number);
        let (length, sha256) = (bytes.len(), digest(&bytes));
        let asked = json!({
            "mime_type": kind.mime(), "size": length, "sha256": hex(&sha256), "purpose": "message",
            "file_name": format!("{number}"),
        });
        let asking = self.rest.call(Method::POST, "/media", &token, Some(asked));
        let upload: Upload = timed(&mut self.done.figures, ASK, async { Ok(asking.await?) }).await?;
        ensure!(
            upload.ticket.method == "PUT",
            "the ticket wants {}",
            upload.ticket.method
        );
        let headers: Vec<(String, String)> = upload.ticket.headers.into_iter().collect();
        let putting = self.web.put(&upload.ticket.url, &headers, &token, bytes);
        timed(&mut self.done.figures, PUT, putting).await?;
        let path = format!("/media/{}/finish", upload.media_id);
        let finishing = self
            .rest
            .call::<Value>(Method::POST, &path, &token, Some(json!({})));
        let finished = timed(&mut self.done.figures, FINISH, async { Ok(finishing.await?) }).await?;
        let message = self.message(number, &upload.uri, length, &sha256, &finished);
        let sending = self.bare.ask(client_frame::Body::Send(message));
        let sent = timed(&mut self.done.figures, SEND, sending).await?;
        let server_frame::Body::SendOk(_) = sent else {
            bail!("a Send that names a medium was answered with something else");
        };
        self.done.media += 1;
        self.done.put_bytes += length as u64;
        Ok(Known {
            id: upload.media_id,
            number,
            sha256,
            smaller: None,
        })
    }

    fn message(
        &self,
        number: u64,
        uri: &str,
        length: usize,
        sha256: &Digest,
        finished: &Value,
    ) -> wire::Send {
        let pixels = |name: &str| finished[name].as_u64().unwrap_or_default() as u32;
        let kind = Kind::of(number);
        let body = match kind {
            Kind::Picture => wire::Image {
                uri: uri.to_owned(),
                width: pixels("width"),
                height: pixels("height"),
                bytes: length as u64,
                ..wire::Image::default()
            }
            .encode_to_vec(),
            Kind::File => wire::File {
                uri: uri.to_owned(),
                name: format!("{number}"),
                bytes: length as u64,
                sha256: sha256.to_vec().into(),
            }
            .encode_to_vec(),
        };
        wire::Send {
            conversation_id: self.conversation,
            client_msg_id: format!("media-{number}"),
            mime_type: kind.mime().to_owned(),
            body: body.into(),
            ..wire::Send::default()
        }
    }

    async fn get(&mut self, known: &Known) -> Result<()> {
        let getting = self.web.get(known.id, &self.assistant.access_token);
        let got = timed(&mut self.done.figures, GET, getting).await?;
        self.done.got_bytes += got.len() as u64;
        compare(&got, &known.sha256).with_context(|| format!("{GET}: medium {}", known.id))
    }

    /// The first one is made for the request; later requests get the same.
    async fn get_smaller(&mut self, known: &mut Known) -> Result<()> {
        let getting = self
            .web
            .get_smaller(known.id, SMALL, &self.assistant.access_token);
        let got = timed(&mut self.done.figures, SMALLER, getting).await?;
        self.done.got_bytes += got.len() as u64;
        let side = longer_side(&got).with_context(|| format!("{SMALLER}: medium {}", known.id))?;
        ensure!(
            side <= SMALL,
            "{SMALLER}: medium {} came {side} pixels long",
            known.id
        );
        let before = *known.smaller.get_or_insert_with(|| digest(&got));
        compare(&got, &before).with_context(|| format!("{SMALLER}: medium {}, again", known.id))
    }

    async fn get_part(&mut self, known: &Known) -> Result<()> {
        let bytes = self.sample.numbered(known.number);
        let first = self.dice.below(bytes.len());
        let part = first..first + 1 + self.dice.below(bytes.len() - first);
        let getting = self.web.get_part(known.id, &part, &self.patient.access_token);
        let got = timed(&mut self.done.figures, PART, getting).await?;
        self.done.got_bytes += got.len() as u64;
        compare(&got, &digest(&bytes[part.clone()]))
            .with_context(|| format!("{PART}: {part:?} of medium {}", known.id))
    }
}

/// Times a call; its error names it.
async fn timed<T>(
    figures: &mut Figures,
    endpoint: &'static str,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let begun = Instant::now();
    let done = call.await.context(endpoint)?;
    figures.record(endpoint, begun.elapsed());
    Ok(done)
}
