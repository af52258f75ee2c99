//! The connection of a start: looks at the server, waits for the schema or migrates it.

pub(super) mod migrate;
mod privileges;
mod steps;

use std::time::Duration;

use telemetry::events::database::Event;
use tokio_postgres::Client;

use self::privileges::Role;
use super::{
    citus::{self, Function, Machine, Placed, Settings},
    connect::{Address, Away, Connected, Hosts, first},
};
use crate::{
    Error,
    migrations::{self, Schema},
};

/// How often a program that waits for the schema looks, and at how many looks it logs that.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOG_EVERY: u32 = 20;
/// The oldest server that this was tested with, as `server_version_num` says it.
const OLDEST_SERVER: i32 = 150_000;

/// Connects, brings the schema up to date if that is ours to do, and adds to the address the session settings that the server
/// needs. Returns whether its rows lie on several machines.
pub(super) async fn start(hosts: &Hosts, address: &mut Address, schema: Schema) -> Result<bool, Error> {
    let (mut client, _driver) = match schema {
        Schema::Migrate | Schema::Leave => {
            let connecting = first(hosts, &address.session);
            connecting.await.map_err(Away::into_open)?
        }
        Schema::Await => await_schema(hosts, &address.session).await?,
    };
    look_at_server(&client, address).await?;
    let role = Role::of(&client).await?;
    role.must_use_tables(&client).await?;
    if schema == Schema::Migrate {
        Box::pin(migrate::migrate(&mut client, &role)).await?;
    }
    let spread = citus::spread(&client).await?;
    if schema != Schema::Leave {
        citus::must_be_placed(&client, spread).await?;
    }
    if spread.has_extension && spread.is_distributed {
        look_at_machines(&client, address).await?;
    }
    Ok(spread.is_distributed)
}

/// Connects, brings the schema up to date, and puts each table on its machine.
pub(super) async fn distribute(
    hosts: &Hosts,
    address: &mut Address,
    functions: &[Function],
) -> Result<Vec<Placed>, Error> {
    let (mut client, _driver) = first(hosts, &address.session).await.map_err(Away::into_open)?;
    look_at_server(&client, address).await?;
    let role = Role::of(&client).await?;
    role.must_use_tables(&client).await?;
    Box::pin(migrate::migrate(&mut client, &role)).await?;
    Box::pin(citus::distribute(&client, functions)).await
}

/// Settings of a session where rows lie on several machines:
///
/// - A statement that asks all machines asks them over one connection each: more cost more than they gain, and each is a
///   process there.
/// - A machine that is away is noticed before its callers stop waiting.
const ON_MACHINES: [(&str, &str); 2] = [
    ("citus.max_adaptive_executor_pool_size", "1"),
    ("citus.node_connection_timeout", "2s"),
];

/// Each machine must keep what it commits. One that is away stops only the conversations that it has, and no start.
async fn look_at_machines(client: &Client, address: &mut Address) -> Result<(), Error> {
    for (name, value) in ON_MACHINES {
        address.set(name, value);
    }
    for Machine { address, settings } in citus::machines(client).await? {
        let machine = address.as_str();
        match settings {
            Ok(settings) => look_at_machine(machine, &settings)?,
            Err(error) => Event::MachineAway {
                machine,
                error: &error,
            }
            .emit(),
        }
    }
    Ok(())
}

/// A machine that prepares no transaction lets no record be written together with its entries.
fn look_at_machine(machine: &str, settings: &Settings) -> Result<(), Error> {
    if settings.max_prepared == 0 {
        return Err(Error::Open(format!(
            "the machine {machine} has max_prepared_transactions = 0, so no record could commit in two phases; set it to {} or \
             more, as max_connections, and restart the machine",
            settings.max_connections
        )));
    }
    if !settings.syncs {
        Event::FsyncOff {
            machine: Some(machine),
        }
        .emit();
    }
    if !settings.prepares_enough() {
        Event::FewPrepared {
            machine,
            max_prepared: settings.max_prepared,
            max_connections: settings.max_connections,
        }
        .emit();
    }
    Ok(())
}

/// Waits for the database and for the version of its schema that this program needs.
async fn await_schema(hosts: &Hosts, session: &str) -> Result<Connected, Error> {
    let mut looks = 0u32;
    loop {
        let missing = match first(hosts, session).await {
            Ok(connected) => match usable_version(&connected.0).await {
                Err(error @ Error::Open(_)) => return Err(error),
                Ok(version) if version >= migrations::LATEST_VERSION => return Ok(connected),
                Ok(version) => format!(
                    "its schema has version {version}, this program needs {}; start an api-server or run `huizhen migrate`",
                    migrations::LATEST_VERSION
                ),
                Err(error) => error.to_string(),
            },
            Err(away) if away.for_ever => return Err(away.into_open()),
            Err(away) => away.reason,
        };
        if looks.is_multiple_of(LOG_EVERY) {
            Event::Waiting { missing: &missing }.emit();
        }
        looks += 1;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The version of a schema whose tables this program may use.
async fn usable_version(client: &Client) -> Result<i64, Error> {
    Role::of(client).await?.must_use_tables(client).await?;
    migrate::version(client).await
}

/// Checks that the server keeps acknowledged commits, and is one that this program supports.
async fn look_at_server(client: &Client, address: &mut Address) -> Result<(), Error> {
    const SETTINGS: &str =
        "SELECT CAST(current_setting('server_version_num') AS INT), current_setting('fsync'),
        current_setting('synchronous_commit'), current_setting('server_encoding')";
    let row = client.query_one(SETTINGS, &[]).await?;
    let version: i32 = row.get(0);
    if version < OLDEST_SERVER {
        return Err(Error::Open(format!(
            "the server is PostgreSQL {}; 15 or newer is needed",
            version / 10_000
        )));
    }
    let encoding: String = row.get(3);
    if encoding != "UTF8" {
        return Err(Error::Open(format!(
            "the database has the encoding {encoding}; make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    if row.get::<_, String>(1) == "off" {
        Event::FsyncOff { machine: None }.emit();
    }
    // An acknowledged message is on the disk (invariant I1), whatever is usual on this server.
    if row.get::<_, String>(2) == "off" {
        address.set("synchronous_commit", "on");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_cannot_prepare_a_transaction_is_refused() {
        let settings = |max_prepared| Settings {
            syncs: true,
            waits: true,
            max_prepared,
            max_connections: 100,
            connections: 1,
            server: "150018".to_owned(),
            citus: "13.2-1".to_owned(),
        };
        for max_prepared in [1, 99, 100] {
            look_at_machine("db1:5432", &settings(max_prepared)).unwrap();
        }
        let error = look_at_machine("db1:5432", &settings(0)).unwrap_err().to_string();
        assert!(
            error.contains("db1:5432") && error.contains("set it to 100"),
            "{error}"
        );
    }
}
