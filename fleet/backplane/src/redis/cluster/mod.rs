//! Servers with keys and channels: the masters of a cluster, or a single server. Keeps the map of a cluster: asks its masters
//! which slots they have, and starts and ends shards accordingly.

mod layout;
mod publisher;
mod routes;
mod shard;
mod slot;
mod supervisor;

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use ::redis::{Client, ConnectionAddr, RedisError};
use telemetry::events::backplane::Event;
use tokio::{task::JoinSet, time::Instant};

pub(crate) use self::{
    layout::Layout,
    publisher::count_lost,
    routes::{Map, Routes},
    shard::{Common, Shard},
};
use super::{
    link::Source,
    server::{self, Place, Template},
};

/// How often the map is refreshed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often while a part is missing.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// The shortest time between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// How a cluster is reached.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// Nodes to ask while no other is known.
    pub(crate) seeds: Vec<Place>,
    pub(crate) nodes: Template,
}

impl Cluster {
    /// Asks one node after the other until one answers.
    ///
    /// # Errors
    /// The last node's; or that a node is part of no cluster.
    pub(crate) async fn check(&self) -> Result<(), RedisError> {
        let mut last = RedisError::from(io::Error::other("no node of the cluster is named"));
        for place in &self.seeds {
            match self.view(place).await {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn client(&self, place: &Place) -> Result<Client, RedisError> {
        self.nodes.client(place)
    }

    fn is_tls(&self) -> bool {
        matches!(self.nodes.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// A node's view of the cluster, over a connection of its own.
    async fn view(&self, place: &Place) -> Result<String, RedisError> {
        let mut connection = server::connect(&self.client(place)?, |_| {}).await?;
        let mut ask = ::redis::cmd("CLUSTER");
        ask.arg("NODES").query_async(&mut connection).await
    }

    /// Refreshes the map for ever.
    pub(crate) async fn keep(self, common: Arc<Common>) {
        loop {
            let began = Instant::now();
            let map = common.routes.map();
            let seen = self.look(&map).await;
            let fresh = seen.filter(|layout| *layout != map.layout);
            if let Some(layout) = &fresh {
                Event::ClusterChanged {
                    masters: layout.masters.len(),
                    is_whole: layout.is_whole(),
                }
                .emit();
            }
            drop(map);
            common
                .routes
                .looked(fresh.map(|layout| self.arrange(&common, layout)));
            let pause = if common.routes.is_available() {
                LOOK_EVERY
            } else {
                LOOK_SOON
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = common.routes.look.notified() => {
                    tokio::time::sleep_until(began + PAUSE).await;
                }
            }
        }
    }

    /// The views of the masters that answer; when none does, that of any node that was ever known.
    async fn look(&self, map: &Map) -> Option<Layout> {
        let mut asking = JoinSet::new();
        for shard in &map.shards {
            if let (Some(live), Some(place)) = (shard.asking.now(), shard.place.clone()) {
                asking.spawn(async move {
                    let mut ask = ::redis::cmd("CLUSTER");
                    let view: Result<String, _> = live.run(ask.arg("NODES")).await;
                    view.ok().map(|view| (place.0, view))
                });
            }
        }
        let mut views: Vec<(String, String)> = asking.join_all().await.into_iter().flatten().collect();
        if views.is_empty() {
            for place in map.layout.nodes.iter().chain(&self.seeds) {
                match self.view(place).await {
                    Ok(view) => {
                        views.push((place.0.clone(), view));
                        break;
                    }
                    Err(error) => tracing::debug!(%error, host = place.0, port = place.1, "no view"),
                }
            }
        }
        Layout::read(&views, self.is_tls())
    }

    /// A shard for each master; shards of masters that remain are kept.
    fn arrange(&self, common: &Arc<Common>, layout: Layout) -> Map {
        let before = common.routes.map();
        let kept: HashMap<&Place, &Arc<Shard>> = before
            .shards
            .iter()
            .filter_map(|shard| Some((shard.place.as_ref()?, shard)))
            .collect();
        let mut shards = Vec::with_capacity(layout.masters.len());
        for place in &layout.masters {
            let shard = match (kept.get(place), self.client(place)) {
                (Some(shard), _) => (*shard).clone(),
                (None, Ok(client)) => {
                    let shown = format!("{}:{}", place.0, place.1);
                    Shard::start(common, Source::Server(client), Some(place.clone()), &shown)
                }
                (None, Err(error)) => {
                    let (host, error) = (&place.0, &error);
                    Event::UnusableAddress { host, error }.emit();
                    return Map {
                        shards: before.shards.clone(),
                        layout: before.layout.clone(),
                    };
                }
            };
            shards.push(shard);
        }
        Map { shards, layout }
    }
}
