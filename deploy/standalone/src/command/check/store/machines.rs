//! Checks each machine of a database that lies on several.

use database::{
    Database, Engine, Error,
    postgres::citus::{Machine, Settings as Of},
};

use super::{super::Finding, server};
use crate::settings::Settings;

const ABOUT: &str = "machine";

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
    if !of.waits {
        return Finding::warn(
            ABOUT,
            format!("{address}: synchronous_commit is off; messages wait for the disk all the same"),
            "set synchronous_commit = on in its postgresql.conf",
        );
    }
    Finding::ok(
        ABOUT,
        format!("{address}: PostgreSQL {server} and Citus {citus}, commits are synced"),
    )
}

#[cfg(test)]
mod tests {
    use super::{super::super::Verdict, *};

    fn machine(address: &str, settings: Result<(bool, bool, &str), &str>) -> Machine {
        Machine {
            address: address.to_owned(),
            settings: settings
                .map(|(syncs, waits, server)| Of {
                    syncs,
                    waits,
                    server: server.to_owned(),
                    citus: "13.2-1".to_owned(),
                })
                .map_err(str::to_owned),
        }
    }

    #[test]
    fn each_machine_is_judged() {
        let machines = [
            machine("a:5432", Ok((true, true, "150018"))),
            machine("b:5432", Ok((false, true, "150018"))),
            machine("c:5432", Ok((true, true, "160001"))),
            machine("d:5432", Ok((true, false, "150018"))),
            machine("e:5432", Err("connection refused")),
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
        ];
        assert_eq!(verdicts, expected);
        let text = finding(&machines[4], &machines).text;
        assert!(
            text.contains("e:5432") && text.contains("connection refused"),
            "{text}"
        );
    }
}
