//! The servers of a run that moves money: with mockpay, and with a clock that opens the window for withdrawals.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{Timestamp, ToSpan, civil::Time, tz::Offset};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::fleet::DATABASE;
use testkit::process::beside_this_program;

use super::books::Books;
use crate::arguments::{RestArguments, Transport};
use crate::server::own::{NAME, command};
use crate::workload::fleet::{Extra, Fleet};
use crate::workload::soak::faults::effect::clock::Clocks;
use crate::world::rest::Rest;

/// How long after a change a payee is not used, with an hour to spare.
const PAYEE_WAITS_H: i64 = 25;
/// The platform's share of each price: it is rounded in most of them.
const COMMISSION_PER_MILLE: i64 = 55;
/// How far a commission must lie in the future when it is set: longer than the call takes.
const SOON: Duration = Duration::from_secs(3);

/// The servers, and their clocks where they are ours.
pub(super) struct Ground {
    pub(super) fleet: Fleet,
    clocks: Option<Clocks>,
    /// How far the servers' clocks are ahead of ours, ms.
    ahead_ms: i64,
}

impl Ground {
    /// Starts them a day before the window of the next month.
    pub(super) async fn open(arguments: &RestArguments) -> Result<Self> {
        let is_ours = arguments.target.api.is_none();
        let clocks = is_ours.then(Clocks::make).transpose()?;
        let extra = Extra {
            environment: clocks.as_ref().map(Clocks::environment).unwrap_or_default(),
            api_arguments: vec!["--payment-providers=mockpay".to_owned()],
            // A server that is started again has other ports.
            proxies: arguments.kill_every.is_some(),
            ..Extra::default()
        };
        let ahead_ms = until_window_ms()? - PAYEE_WAITS_H * 3_600_000;
        if let Some(clocks) = &clocks {
            // The names of the servers that will be.
            let many = (1..=arguments.target.api_servers).map(|number| format!("api-{number}"));
            for name in many.chain([NAME.to_owned()]) {
                clocks.shift(&name, ahead_ms)?;
            }
        }
        let fleet = Box::pin(Fleet::open_in(
            arguments.target.clone(),
            arguments.output.seed,
            arguments.workers as usize,
            0,
            Transport::Tcp,
            extra,
        ))
        .await?;
        Ok(Self {
            fleet,
            clocks,
            ahead_ms,
        })
    }

    /// Sets the platform's share by an operator of ours, and returns when it holds. A running fleet keeps its own.
    pub(super) async fn set_commission(&self) -> Result<()> {
        let Some((program, database)) = self.program()? else {
            println!("  the commission stays as it is: no operator can be made here");
            return Ok(());
        };
        let name = "load test";
        let made = command(&program, &["operator", "add", name, &database]).await?;
        let password = made.lines().find_map(|line| line.strip_prefix("password "));
        let login = json!({
            "name": name, "password": password.context("huizhen operator add says no password")?, "device_id": "load test",
            "platform": "web",
        });
        let rest = &self.fleet.rest;
        let operator: Value = rest
            .call(Method::POST, "/operator/login", "", Some(login))
            .await?;
        let token = operator["access_token"].as_str().context("no access_token")?;
        let soon_ms = i64::try_from(SOON.as_millis())?;
        let from_ms = Timestamp::now().as_millisecond() + self.ahead_ms + soon_ms;
        let share = json!({"per_mille": COMMISSION_PER_MILLE, "from_ms": from_ms});
        rest.call::<Value>(Method::POST, "/operator/commission", token, Some(share))
            .await?;
        tokio::time::sleep(SOON).await;
        Ok(())
    }

    /// The program `huizhen` beside servers of ours, and the argument that names their database.
    fn program(&self) -> Result<Option<(PathBuf, String)>> {
        if let Some(processes) = &self.fleet.processes {
            let program = beside_this_program("huizhen")?;
            let url = processes.postgres.url(DATABASE);
            return Ok(program
                .is_file()
                .then(|| (program, format!("--database-url={url}"))));
        }
        let own = self.fleet.own.as_ref();
        Ok(own.map(|own| {
            let data = own.folder().join("data");
            (own.program().to_owned(), format!("--data={}", data.display()))
        }))
    }

    /// Moves the clocks into the window. Those of a running fleet stay as they are.
    pub(super) fn open_window(&self) -> Result<()> {
        let Some(clocks) = &self.clocks else { return Ok(()) };
        for name in self.names() {
            clocks.shift(&name, until_window_ms()?)?;
        }
        Ok(())
    }

    /// The service as one worker calls it: workers spread over the api-servers.
    pub(super) fn rest(&self, worker: usize) -> Result<Rest> {
        let Some(processes) = &self.fleet.processes else {
            return Ok(self.fleet.rest.clone());
        };
        let mut urls = processes.rest_urls();
        let first = worker % urls.len().max(1);
        urls.rotate_left(first);
        Rest::new(&urls.join(","))
    }

    fn names(&self) -> Vec<String> {
        match &self.fleet.processes {
            Some(processes) => {
                let servers = processes.api_servers.iter();
                servers.map(|server| server.name.clone()).collect()
            }
            None => vec![NAME.to_owned()],
        }
    }

    /// Ends the servers; returns the books that they leave behind.
    pub(super) async fn close(mut self) -> Result<Option<(Books, Fleet)>> {
        let program = self.program()?;
        if let Some(own) = &mut self.fleet.own {
            own.stop().await?;
        }
        if let Some((program, database)) = program {
            reconcile(&program, &database).await?;
        }
        let Self { fleet, .. } = self;
        if let Some(processes) = &fleet.processes {
            let books = Books::server(&processes.postgres.url(DATABASE)).await?;
            return Ok(Some((books, fleet)));
        }
        let Some(own) = &fleet.own else {
            return Ok(None);
        };
        let books = Books::file(&own.folder().join("data").join("huizhen.db"))?;
        Ok(Some((books, fleet)))
    }
}

/// The product's own proof, beside the one of this program.
async fn reconcile(program: &Path, argument: &str) -> Result<()> {
    let said = command(program, &["reconcile", argument]).await?;
    println!("  huizhen reconcile: {}", said.lines().last().unwrap_or_default());
    Ok(())
}

/// How far it is to an hour after the opening of the next month's window in Asia/Shanghai, ms.
fn until_window_ms() -> Result<i64> {
    let zone = Offset::constant(8);
    let now = zone.to_datetime(Timestamp::now());
    let first = now.date().first_of_month().checked_add(1.month())?;
    let opens = zone.to_timestamp(first.to_datetime(Time::constant(1, 0, 0, 0)))?;
    Ok(opens.as_millisecond() - Timestamp::now().as_millisecond())
}
