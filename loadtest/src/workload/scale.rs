//! scale: the same load on a fleet that grows. Members of a conversation are spread over the nodes, so that with more
//! nodes more deliveries go across.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use testkit::backplane::Kind;

use super::fleet::{Size, start_processes, watch_processes};
use super::talk::load::{Runs, Site, measure};
use super::talk::shape::Shape;
use crate::arguments::{ChatShape, Load, Rate, ScaleArguments};
use crate::report::{Bar, Report};
use crate::world::rest::{Rest, reachable};
use crate::world::{Builder, SmsWebhook};

/// The highest cost of a delivery across nodes, over one within a node.
const ACROSS_RATIO: f64 = 1.6;

/// Runs `loadtest scale`.
pub(super) async fn run(arguments: ScaleArguments) -> Result<bool> {
    let nodes = &arguments.nodes;
    ensure!(
        nodes.is_sorted_by(|fewer, more| fewer < more),
        "--nodes must grow, as in 1,2,4,8: the same fleet is made larger each time"
    );
    let first = *nodes.first().context("--nodes names no number")?;
    let shape = Shape::Chat(ChatShape {
        conversations: arguments.conversations,
        members: arguments.members,
        rate: Some(Rate::PerSecond(arguments.rate)),
        window: 1,
        idle_connections: 0,
        idle_per_process: 1,
    });
    let load = Load {
        duration: arguments.duration,
        warm_up: arguments.warm_up,
        payload_bytes: arguments.payload_bytes,
        threads: 1,
        start_file: None,
        output: arguments.output.clone(),
    };
    let size = Size {
        nodes: first,
        api_servers: arguments.api_servers,
        redis: Kind::Single,
        database_workers: 0,
        programs: arguments.programs.clone(),
        node_arguments: Vec::new(),
        api_arguments: Vec::new(),
    };
    let sms = Arc::new(SmsWebhook::listen(([127, 0, 0, 1], 0).into()).await?);
    let mut fleet = Box::pin(start_processes(
        &size,
        &sms,
        shape.connections(),
        false,
        Vec::new(),
    ))
    .await?;
    let rest = Rest::new(&fleet.rest_urls().join(","))?;
    reachable(&rest).await?;
    let builder = Builder::new(rest.clone(), sms, arguments.output.seed);
    let world = Arc::new(Box::pin(shape.build(&builder)).await?);
    let mut runs = Runs::default();
    let mut report = shape.describe(Report::new("scale", arguments.output.seed), &load);
    for count in nodes {
        while (fleet.nodes.len() as u32) < *count {
            fleet.add_node().await?;
        }
        let site = Site {
            addresses: fleet.nodes.iter().filter_map(|node| node.ports().im).collect(),
            world: world.clone(),
            watch: watch_processes(&fleet),
        };
        let name = match count {
            1 => "1 node".to_owned(),
            count => format!("{count} nodes"),
        };
        let mut part = Box::pin(measure(&site, &shape, &load, &name, &mut runs)).await?;
        part.course.clear();
        report.parts.push(part);
    }
    report.server_commit = Some(rest.commit().await?);
    Box::pin(fleet.end()).await?;
    report.method =
        "open loop at one rate, the same users and conversations each time; members spread over the nodes \
                     in turn"
            .to_owned();
    let of = |count: u32| {
        let at = nodes.iter().position(|nodes| *nodes == count)?;
        report.parts.get(at)
    };
    let cost = |part: &Report| part.cpu_us_per_delivery("im-") + part.cpu_us_per_delivery("redis");
    let ratio = of(1).zip(of(2)).map(|(one, two)| cost(two) / cost(one));
    if let Some(ratio) = ratio {
        report.bars.push(Bar {
            unit: "×".to_owned(),
            ..Bar::at_most(
                "CPU of nodes and Redis for a delivery, two nodes beside one",
                ratio,
                ACROSS_RATIO,
            )
        });
    }
    report.publish(arguments.output.report.as_deref())?;
    Ok(report.is_clean())
}
