//! One server with keys and channels: the only one, or one master of a cluster. Two connections to it are kept, one
//! that listens and one that runs commands and publishes.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{PushInfo, PushKind, RedisError, Value};
use parking_lot::Mutex;
use telemetry::{
    events::backplane::{Event, LOST, RECEIVED},
    task::{self, Name},
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{publisher::Publisher, routes::Routes, supervisor::Supervisor};
use crate::{
    Unavailable,
    redis::{
        link::{Kept, Link, Outage, Source},
        server::{
            Place,
            refusal::{cure, takes_no_writes},
        },
        subscriptions::{Distribution, Subscriptions},
    },
};

/// How often Redis is probed: whether it accepts writes, and was not emptied.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the probe's mark lives unrenewed.
const MARK_LASTS: Duration = Duration::from_secs(60);

/// One server.
pub(crate) struct Shard {
    /// Unique in this process.
    pub(crate) number: u64,
    /// Where it is, in a cluster.
    pub(crate) place: Option<Place>,
    pub(crate) asking: Arc<Link>,
    pub(crate) publisher: Publisher,
    pub(crate) supervisor: Supervisor,
    pub(crate) listening: Link,
    refusal: Arc<Refusal>,
    _stop: DropGuard,
}

/// Why a server that answers accepts no writes, if so; each change is logged.
#[derive(Default)]
struct Refusal(Mutex<Option<String>>);

impl Refusal {
    fn begins(&self, error: &RedisError, redis: &str) {
        let before = self.0.lock().replace(error.to_string());
        if before.is_none() {
            let cure = cure(error);
            Event::WritesRefused { redis, error, cure }.emit();
        }
    }

    fn ends(&self, redis: &str) {
        if self.0.lock().take().is_some() {
            Event::WritesAccepted { redis }.emit();
        }
    }

    fn reason(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// The parts that all shards of this process share.
pub(crate) struct Common {
    pub(crate) routes: Arc<Routes>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) distribution: Distribution,
    pub(crate) resumed: watch::Sender<u64>,
    pub(crate) listening: Kept,
    pub(crate) asking: Kept,
    /// Begins the names of this process's marks.
    pub(crate) mark: String,
    pub(crate) stop: CancellationToken,
}

impl Shard {
    /// Connects in the background; ends when it is dropped.
    pub(crate) fn start(
        common: &Arc<Common>,
        source: Source,
        place: Option<Place>,
        shown: &str,
    ) -> Arc<Self> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let stop = common.stop.child_token();
        let ends = Arc::new(Ends::default());
        let outage = Arc::new(Outage::new(shown));
        let listening = Link::keep(
            common.listening.clone(),
            source.clone(),
            outage.clone(),
            Arc::new(on_push(common.clone(), ends.clone())),
            stop.clone(),
        );
        let asking = Arc::new(Link::keep(
            common.asking.clone(),
            source,
            outage,
            Arc::new(|_| {}),
            stop.clone(),
        ));
        let supervisor = Supervisor::start(&listening, common, number, ends, stop.clone());
        let publisher = Publisher::start(asking.clone(), common.routes.clone(), stop.clone());
        let refusal = Arc::new(Refusal::default());
        let looking = look(
            asking.clone(),
            common.clone(),
            number,
            refusal.clone(),
            shown.to_owned(),
        );
        task::vital_until(Name::RedisProbe, stop.clone().cancelled_owned(), looking);
        Arc::new(Self {
            number,
            place,
            asking,
            publisher,
            supervisor,
            listening,
            refusal,
            _stop: stop.drop_guard(),
        })
    }

    /// The problem, if there is one.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(reason) = self.refusal.reason() {
            return Some(format!("takes no writes: {reason}"));
        }
        let stands = self.asking.now().is_some() && self.listening.now().is_some();
        (!stands).then(|| "cannot be reached".to_owned())
    }
}

/// Ends of subscriptions in a cluster: those that we requested, and those that Redis decides by itself.
#[derive(Default)]
pub(crate) struct Ends {
    asked: Mutex<HashSet<Vec<u8>>>,
    /// A slot has moved away.
    pub(crate) unasked: Notify,
}

impl Ends {
    /// These are being ended.
    pub(crate) fn ask(&self, names: &[Vec<u8>]) {
        self.asked.lock().extend(names.iter().cloned());
    }

    /// All that were requested have ended.
    pub(crate) fn done(&self) {
        self.asked.lock().clear();
    }
}

fn on_push(common: Arc<Common>, ends: Arc<Ends>) -> impl Fn(PushInfo) + Send + Sync {
    move |push: PushInfo| match push.kind {
        PushKind::Message | PushKind::SMessage => {
            if let Ok([Value::BulkString(name), Value::BulkString(payload)]) =
                <[Value; 2]>::try_from(push.data)
            {
                RECEIVED.increment();
                if !common.distribution.enqueue(name, payload) {
                    LOST.increment("slow");
                    common.resumed.send_modify(|times| *times += 1);
                }
            }
        }
        PushKind::SUnsubscribe => {
            if let Some(Value::BulkString(name)) = push.data.first()
                && !ends.asked.lock().contains(name)
            {
                ends.unasked.notify_one();
            }
        }
        _ => {}
    }
}

/// Writes this process's mark each second. A server that was restarted or emptied, or that has taken over, does not
/// have it; one that accepts no writes refuses it.
async fn look(asking: Arc<Link>, common: Arc<Common>, number: u64, refusal: Arc<Refusal>, shown: String) {
    let lasts_ms = u64::try_from(MARK_LASTS.as_millis()).unwrap_or(u64::MAX);
    let mut mark: Option<String> = None;
    let mut is_first = true;
    loop {
        if !mark
            .as_ref()
            .is_some_and(|mark| common.routes.is_owner(number, mark.as_bytes()))
        {
            mark = common.routes.name_for(number, &common.mark);
            is_first = true;
        }
        if let Some(mark) = &mark {
            let mut look = ::redis::cmd("SET");
            look.arg(mark).arg(1).arg("PX").arg(lasts_ms).arg("GET");
            let answer = match asking.live().await {
                Ok(live) => Some(live.run::<Option<i64>>(&look).await),
                Err(Unavailable) => None,
            };
            match answer {
                Some(Ok(before)) => {
                    refusal.ends(&shown);
                    if before.is_none() && !is_first {
                        Event::Emptied.emit();
                        common.resumed.send_modify(|times| *times += 1);
                    }
                    is_first = false;
                }
                Some(Err(error)) if takes_no_writes(&error) => refusal.begins(&error, &shown),
                Some(Err(_)) | None => {}
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
