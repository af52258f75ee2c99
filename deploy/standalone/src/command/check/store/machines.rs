//! Checks each machine of a database that lies on several.

use database::{
    Database, Engine, Error,
    postgres::citus::{Machine, Settings as Of},
};

use super::{super::Finding, server};
use crate::settings::Settings;

const ABOUT: &str = "machine";

/// The most connections that a node has to the coordinator, and to another machine: its lanes, and those that the coordinator keeps
/// there for the node's own.
const TO_COORDINATOR: u32 = 28;
const TO_WORKER: u32 = 44;

/// One line for each machine; none where the database lies on one.
pub(in super::super) async fn machines(settings: &Settings) -> Vec<Finding> {
    let url = settings.database_url();
    if server(&url).is_none() {
        return Vec::new();
    }
    match of(&url).await {
        Ok(machines) => machines
            .iter()
            .map(|machine| finding(machine, &machines))
            .collect(),
        // A database that does not open has a line of its own.
        Err(_) => Vec::new(),
    }
}

async fn of(url: &str) -> Result<Vec<Machine>, Error> {
    let database = Database::look(url).await?;
    let machines = match database.engine() {
        Engine::Sqlite(_) => Ok(Vec::new()),
        Engine::Postgres(server) => server.machines().await,
    };
    database.close().await;
    machines
}

fn finding(machine: &Machine, all: &[Machine]) -> Finding {
    let Machine { address, settings } = machine;
    let of = match settings {
        Ok(of) => of,
        Err(error) => {
            return Finding::fail(
                ABOUT,
                format!("{address}: {error}; its conversations stand still"),
                "start it, or look at pg_dist_node on the coordinator",
            );
        }
    };
    if !of.syncs {
        return Finding::fail(
            ABOUT,
            format!("{address}: fsync is off; acknowledged messages would be lost with a power failure"),
            "set fsync = on in its postgresql.conf, and restart it",
        );
    }
    let first = all.iter().find_map(|other| other.settings.as_ref().ok());
    let is_other = |first: &Of| (&first.server, &first.citus) != (&of.server, &of.citus);
    let Of { server, citus, .. } = of;
    if first.is_some_and(is_other) {
        return Finding::warn(
            ABOUT,
            format!("{address}: PostgreSQL {server} and Citus {citus}, another version than the coordinator"),
            "bring all machines to one version",
        );
    }
    if !of.prepares_enough() {
        let (prepared, connections) = (of.max_prepared, of.max_connections);
        let text = format!(
            "{address}: max_prepared_transactions is {prepared}, max_connections {connections}; a record commits in two phases"
        );
        let advice = format!(
            "set max_prepared_transactions = {connections} or more in its postgresql.conf, and restart it"
        );
        return match prepared {
            0 => Finding::fail(ABOUT, text, &advice),
            _ => Finding::warn(ABOUT, text, &advice),
        };
    }
    if !of.waits {
        return Finding::warn(
            ABOUT,
            format!("{address}: synchronous_commit is off; messages wait for the disk all the same"),
            "set synchronous_commit = on in its postgresql.conf",
        );
    }
    let (used, most) = (of.connections, of.max_connections);
    // The coordinator is the first.
    let of_a_node = match all.first() {
        Some(first) if first.address == *address => TO_COORDINATOR,
        _ => TO_WORKER,
    };
    if most.saturating_sub(used) < of_a_node {
        return Finding::warn(
            ABOUT,
            format!("{address}: {used} of {most} connections are used; another node needs {of_a_node}"),
            "raise max_connections and max_prepared_transactions in its postgresql.conf, and restart it",
        );
    }
    Finding::ok(
        ABOUT,
        format!(
            "{address}: PostgreSQL {server} and Citus {citus}, commits are synced, {used} of {most} connections are used"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::{super::super::Verdict, *};

    fn machine(address: &str, settings: Result<Of, &str>) -> Machine {
        Machine {
            address: address.to_owned(),
            settings: settings.map_err(str::to_owned),
        }
    }

    fn good() -> Of {
        Of {
            syncs: true,
            waits: true,
            max_prepared: 400,
            max_connections: 400,
            connections: 56,
            server: "150018".to_owned(),
            citus: "13.2-1".to_owned(),
        }
    }

    #[test]
    fn each_machine_is_judged() {
        let of = |change: fn(&mut Of)| {
            let mut of = good();
            change(&mut of);
            Ok(of)
        };
        let machines = [
            machine("a:5432", Ok(good())),
            machine("b:5432", of(|of| of.syncs = false)),
            machine("c:5432", of(|of| of.server = "160001".to_owned())),
            machine("d:5432", of(|of| of.waits = false)),
            machine("e:5432", Err("connection refused")),
            machine("f:5432", of(|of| of.max_prepared = 0)),
            machine("g:5432", of(|of| of.max_prepared = 399)),
            machine("h:5432", of(|of| of.connections = 357)),
        ];
        let verdicts = machines
            .each_ref()
            .map(|machine| finding(machine, &machines).verdict);
        let expected = [
            Verdict::Ok,
            Verdict::Fail,
            Verdict::Warn,
            Verdict::Warn,
            Verdict::Fail,
            Verdict::Fail,
            Verdict::Warn,
            Verdict::Warn,
        ];
        assert_eq!(verdicts, expected);
        let text = finding(&machines[4], &machines).text;
        assert!(
            text.contains("e:5432") && text.contains("connection refused"),
            "{text}"
        );
    }
}
