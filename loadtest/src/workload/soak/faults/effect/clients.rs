//! Faults between servers and their clients.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use testkit::proxy::Proxy;
use tokio::time::sleep;

use crate::arguments::fault::Fault;

/// The longest delay of one piece of data.
const LONGEST_DELAY: Duration = Duration::from_millis(300);
/// The pieces that a connection dribbles in, bytes: most frames come in several.
const PIECE_BYTES: usize = 61;
/// How often connections that flap are cut.
const FLAP: Duration = Duration::from_millis(150);

/// A proxy before a server, and where that listens.
pub(in crate::workload::soak::faults) struct Front<'a> {
    pub(in crate::workload::soak::faults) proxy: &'a Proxy,
    pub(in crate::workload::soak::faults) server: SocketAddr,
}

/// A delay up to the longest, by `target`.
pub(in crate::workload::soak::faults) fn delay(target: usize) -> Duration {
    LONGEST_DELAY.mul_f64((target % 100 + 1) as f64 / 100.0)
}

/// Disturbs all ways to clients for this long; false for a fault of another kind.
pub(in crate::workload::soak::faults) async fn disturb(
    fronts: &[Front<'_>],
    fault: Fault,
    target: usize,
    length: Duration,
) -> bool {
    let all = |what: &dyn Fn(&Proxy)| fronts.iter().for_each(|front| what(front.proxy));
    match fault {
        Fault::CutClients => all(&Proxy::cut),
        Fault::FlapClients => {
            let begun = Instant::now();
            while begun.elapsed() < length {
                all(&Proxy::cut);
                sleep(FLAP).await;
            }
        }
        Fault::DelayClients => {
            all(&|proxy| proxy.delay(delay(target)));
            sleep(length).await;
            all(&|proxy| proxy.delay(Duration::ZERO));
        }
        Fault::StallClients => {
            all(&|proxy| proxy.stall(true));
            sleep(length).await;
            all(&|proxy| proxy.stall(false));
        }
        Fault::DribbleClients => {
            all(&|proxy| proxy.dribble(Some(PIECE_BYTES)));
            sleep(length).await;
            all(&|proxy| proxy.dribble(None));
        }
        Fault::RefuseClients => {
            all(&Proxy::refuse);
            sleep(length).await;
            for front in fronts {
                front.proxy.lead_to(front.server);
            }
        }
        _ => return false,
    }
    true
}
