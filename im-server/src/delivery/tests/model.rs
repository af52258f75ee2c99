//! Random worlds: in any mixture of Sync, failure, leaving, joining, feeding, live entries and slow reading, each
//! session receives each entry that its user may see once and in order (I3, I5), and none is missing in the end.
//!
//! `DELIVERY_STEPS=100000000 cargo test -p im-server random_worlds` runs longer; a failure prints its seed, and
//! `DELIVERY_SEED=… ` runs that world alone.

use std::sync::Arc;

use journal::record::Shown;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::{
    device::Device,
    sim::{SimSession, World},
};

/// Steps of all worlds together.
const STEPS: u64 = 10_000_000;
const STEPS_OF_A_WORLD: u64 = 1_000;
const CONVERSATIONS: i64 = 4;
const USERS: i64 = 2;
const DEVICES: usize = 3;

struct Model {
    rng: SmallRng,
    world: Arc<World>,
    devices: Vec<Device>,
    horizon: i64,
    sessions: u64,
    /// Frequency of faults in this world, of 1,000.
    trouble: u32,
    /// Frequency of joining and leaving, of 1,000.
    moves: u32,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let world = Arc::new(World::default());
        let devices = (0..DEVICES)
            .map(|at| Device::new(&world, 1 + at as i64 % USERS))
            .collect();
        let (trouble, moves) = (rng.random_range(0..60), rng.random_range(0..80));
        Self {
            rng,
            world,
            devices,
            horizon: 0,
            sessions: 0,
            trouble,
            moves,
        }
    }

    fn chance(&mut self, of_1000: u32) -> bool {
        self.rng.random_range(0..1_000) < of_1000
    }

    fn conversation(&mut self) -> i64 {
        self.rng.random_range(1..=CONVERSATIONS)
    }

    fn live_sessions(&self) -> Vec<SimSession> {
        self.devices
            .iter()
            .filter_map(|device| device.session.clone())
            .collect()
    }

    fn step(&mut self) -> Result<(), String> {
        if self.chance(self.moves) {
            let (id, user) = (self.conversation(), self.rng.random_range(1..=USERS));
            let history = match self.chance(500) {
                true => Shown::All,
                false => Shown::FromNow,
            };
            if !self.world.join(id, user, history) {
                self.world.leave(id, user);
            }
        }
        match self.rng.random_range(0..20) {
            0..3 => {
                let id = self.conversation();
                self.world.say(id);
            }
            3..7 => self.publication(),
            7 => self.notice(),
            8 => {
                let (id, limit) = (self.conversation(), self.rng.random_range(1..5));
                self.lend();
                self.world.fill(id, limit);
            }
            9 if self.chance(100) => {
                self.horizon = self.world.sweep(self.horizon, &self.live_sessions());
            }
            10 if self.chance(self.trouble) => {
                *self.world.failures.lock() = self.rng.random_range(0..4);
            }
            10 if self.chance(self.trouble) => {
                let id = self.conversation();
                let mut away = self.world.away.lock();
                if !away.remove(&id) {
                    away.insert(id);
                }
            }
            11 => self.world.close_empty(),
            12..14 => self.app(),
            _ => {
                let at = self.rng.random_range(0..DEVICES);
                if let Some(session) = &self.devices[at].session {
                    session.poll();
                }
            }
        }
        for device in &mut self.devices {
            device.take()?;
        }
        Ok(())
    }

    /// Tasks run on another core while the next socket is written.
    fn lend(&mut self) {
        if self.chance(500) {
            *self.world.concurrent.lock() = self.live_sessions();
        }
    }

    fn publication(&mut self) {
        self.lend();
        let mut publications = self.world.publications.lock();
        if publications.is_empty() {
            return;
        }
        let late = self.rng.random_range(0..1_000) < self.trouble;
        let at = if late {
            self.rng.random_range(0..publications.len())
        } else {
            0
        };
        let Some(published) = publications.remove(at) else {
            return;
        };
        if self.rng.random_range(0..1_000) < self.trouble {
            publications.push_back(published.clone());
        }
        drop(publications);
        if !self.chance(self.trouble) {
            self.world.hear(published);
        }
    }

    fn notice(&mut self) {
        let notice = self.world.notices.lock().pop_front();
        if let Some((user, id)) = notice
            && !self.chance(self.trouble * 3)
        {
            self.world.notify(user, id, &self.live_sessions());
        }
    }

    /// One of the apps acts.
    fn app(&mut self) {
        let at = self.rng.random_range(0..DEVICES);
        let bounds = match self.rng.random_range(0..3) {
            0 => vec![3],
            1 => vec![4, 2],
            _ => Vec::new(),
        };
        let (leaves_out, limit) = (self.rng.random(), self.rng.random_range(1..6));
        let horizon = journal::order::Horizon::new(self.horizon, 1);
        let breaks = self.chance(30);
        let device = &mut self.devices[at];
        match &device.session {
            None => {
                self.sessions += 1;
                device.leaves_out = leaves_out;
                device.limit = limit;
                device.connect(self.sessions, &bounds);
            }
            Some(_) if breaks => device.disconnect(),
            Some(session) if !session.reads() => session.set_reading(true),
            Some(_) if device.wants_to_sync() => device.sync(horizon),
            Some(session) if self.rng.random_range(0..20) == 0 => session.set_reading(false),
            Some(_) if device.is_synced() && self.rng.random_range(0..40) == 0 => device.plan(&bounds),
            Some(_) => {}
        }
    }

    /// All devices are connected, each machine answers and no read fails: afterwards nothing may be missing.
    fn settle(&mut self) -> Result<(), String> {
        *self.world.failures.lock() = 0;
        self.world.away.lock().clear();
        self.world.concurrent.lock().clear();
        for _ in 0..10_000 {
            for at in 0..DEVICES {
                if self.devices[at].session.is_none() {
                    self.sessions += 1;
                    self.devices[at].connect(self.sessions, &[]);
                }
            }
            let horizon = journal::order::Horizon::new(self.horizon, 1);
            let publications = std::mem::take(&mut *self.world.publications.lock());
            publications
                .into_iter()
                .for_each(|published| self.world.hear(published));
            self.horizon = self.world.sweep(self.horizon, &self.live_sessions());
            let mut rests = true;
            for id in 1..=CONVERSATIONS {
                rests &= !self.world.fill(id, 100);
            }
            for device in &mut self.devices {
                if let Some(session) = &device.session {
                    session.set_reading(true);
                    session.poll();
                }
                device.take()?;
                if device.wants_to_sync() {
                    device.sync(horizon);
                }
                rests &= device.session.is_some() && !device.has_work() && device.is_synced();
            }
            if rests {
                return self.devices.iter().try_for_each(Device::has_everything);
            }
        }
        Err("it never comes to rest".into())
    }
}

fn run(seed: u64) -> Result<(), String> {
    let mut model = Model::new(seed);
    for _ in 0..STEPS_OF_A_WORLD {
        model.step()?;
    }
    model.settle()
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn i3_i5_random_worlds_give_each_entry_once_and_in_order() {
    if let Some(seed) = variable("DELIVERY_SEED") {
        run(seed).unwrap_or_else(|broken| panic!("DELIVERY_SEED={seed}: {broken}"));
        return;
    }
    let worlds = variable("DELIVERY_STEPS").unwrap_or(STEPS) / STEPS_OF_A_WORLD;
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (thread..worlds).step_by(threads as usize) {
                    run(seed).unwrap_or_else(|broken| panic!("DELIVERY_SEED={seed}: {broken}"));
                }
            });
        }
    });
}
