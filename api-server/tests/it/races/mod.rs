//! Races for money over two services: exactly one winner each, and the books are proved after each.
//!
//! Each service has a handle of its own on the database. A file has one handle, which both share: the database refuses a
//! second one. `HUIZHEN_RACES` sets how many rounds each race has; the suite runs a few. Nothing is disturbed meanwhile: a
//! deadlock, or any other 503 than that of a lock which came too late, fails the race.

mod causes;
mod charges;
mod wallets;
mod withdrawals;

use futures_util::future::join_all;
use serde_json::Value;

use self::causes::Excused;
use super::{
    notices::Notice,
    people::Person,
    scene::Scene,
    service::{Reply, Service},
};

/// Rounds of one patient: a consult has at most 20 open services, a member at most 1000 open consults.
const OF_ONE_PATIENT: usize = 15;

/// Rounds of each race.
fn rounds() -> usize {
    let set = std::env::var("HUIZHEN_RACES").ok();
    set.map_or(3, |rounds| rounds.parse().unwrap())
}

/// Pairs that share the rounds of a race, at the same time: many rounds are to keep two cores busy.
fn lanes() -> usize {
    if rounds() < 100 { 2 } else { 5 }
}

/// One team on two services.
struct Pair {
    scene: Scene,
    other: Service,
    /// Its place among the pairs of its race.
    lane: usize,
    excused: Excused,
}

impl Pair {
    async fn new() -> Self {
        Self::of(Scene::charging().await).await
    }

    async fn of(scene: Scene) -> Self {
        let other = scene.service.beside().await;
        Self {
            scene,
            other,
            lane: 0,
            excused: Excused::default(),
        }
    }

    /// Another one, on the same two services.
    fn beside(&self, scene: Scene, lane: usize) -> Self {
        Self {
            scene,
            other: self.other.at_rest(),
            lane,
            excused: self.excused.clone(),
        }
    }

    /// The rounds of this pair.
    fn rounds(&self) -> impl Iterator<Item = usize> + use<> {
        (self.lane..rounds()).step_by(lanes())
    }

    /// One of the two services.
    fn service(&self, at: usize) -> &Service {
        if at.is_multiple_of(2) {
            &self.scene.service
        } else {
            &self.other
        }
    }

    /// Sends a request to one of the two services; again under its key after a wait that is excused, or while the first is
    /// still running.
    async fn send(&self, at: usize, who: &Person, path: &str, body: Value, key: &str) -> Reply {
        let mut waits = 0;
        loop {
            let call = who.post(self.service(at), path, body.clone());
            let reply = call.key(key).send().await;
            if reply.status == 503 {
                self.excused.excuse(&reply, &mut waits);
            } else if reply.json["error"] != "idempotency.running" {
                return reply;
            }
        }
    }

    /// Sends a notice until it is answered, as its provider does.
    async fn notify(&self, at: usize, notice: &Notice) {
        let mut waits = 0;
        loop {
            let reply = notice.send(self.service(at)).await;
            if reply.status != 503 {
                assert_eq!(reply.status, 200, "{}", reply.text);
                return;
            }
            self.excused.excuse(&reply, &mut waits);
        }
    }

    /// A new patient with so much in the wallet.
    async fn patient(&self, fen: i64) -> Person {
        let patient = self.scene.service.member("Pat").await;
        self.scene.service.credit(&patient, fen).await;
        patient
    }

    /// A charged consult of a patient, with the doctor in it.
    async fn consult(&self, patient: &Person, key: &str) -> i64 {
        let begun = self.scene.begin(patient, key).await.result();
        let consult = begun["consultation_id"].as_i64().unwrap();
        self.scene
            .service
            .bring_in(&self.scene.team, consult, &self.scene.doctor)
            .await;
        consult
    }

    async fn balances(&self) {
        self.scene.service.balances().await;
        self.other.reconciles().await;
        causes::no_deadlock(&self.scene.service).await;
        self.excused.show();
    }
}

/// Pairs with teams of their own race beside each other on the same two services. Returns them; the first keeps the services.
async fn race(run: impl AsyncFn(&Pair)) -> Vec<Pair> {
    let mut pairs = vec![Pair::new().await];
    for lane in 1..lanes() {
        let scene = Scene::on(pairs[0].scene.service.at_rest()).await;
        pairs.push(pairs[0].beside(scene, lane));
    }
    join_all(pairs.iter().map(|pair| run(pair))).await;
    pairs
}

fn won(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| reply.status == 200).count()
}
