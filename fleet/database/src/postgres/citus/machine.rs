//! The machines of a database that is spread over several.

use tokio_postgres::Client;

use crate::Error;

/// The settings that decide about commits there, in one line.
const SETTINGS: &str =
    "SELECT concat_ws('' '', current_setting(''fsync''), current_setting(''synchronous_commit''),
    current_setting(''max_prepared_transactions''), current_setting(''max_connections''),
    (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL),
    current_setting(''server_version_num''), extversion) FROM pg_extension WHERE extname = ''citus''";

/// A machine of the database, the coordinator among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its host and port, as the coordinator names it.
    pub address: String,
    /// Its settings; the error where it does not answer.
    pub settings: Result<Settings, String>,
}

/// The settings of a machine that decide about commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether commits are synced: an acknowledged message is on its disk.
    pub syncs: bool,
    /// Whether commits wait for the disk: `synchronous_commit` as the server has it for this role.
    pub waits: bool,
    /// How many transactions it may hold between the two phases of their commit.
    pub max_prepared: u32,
    /// How many connections it takes.
    pub max_connections: u32,
    /// How many it has now, this one among them.
    pub connections: u32,
    /// `server_version_num`
    pub server: String,
    /// The version of the extension.
    pub citus: String,
}

impl Settings {
    /// Whether each connection may have a transaction between its two phases.
    pub fn prepares_enough(&self) -> bool {
        self.max_prepared >= self.max_connections
    }
}

/// Asks each machine.
///
/// # Errors
/// The coordinator's.
pub(in super::super) async fn machines(client: &Client) -> Result<Vec<Machine>, Error> {
    let asked = format!(
        "SELECT n.nodename || ':' || n.nodeport, r.success, r.result
         FROM run_command_on_all_nodes('{SETTINGS}') r JOIN pg_dist_node n ON n.nodeid = r.nodeid
         ORDER BY n.groupid, n.nodeid"
    );
    let rows = client.query(&asked, &[]).await?;
    let machines = rows.iter().map(|row| {
        let (success, result): (bool, Option<String>) = (row.get(1), row.get(2));
        Machine {
            address: row.get(0),
            settings: settings(success, &result.unwrap_or_default()),
        }
    });
    Ok(machines.collect())
}

fn settings(success: bool, result: &str) -> Result<Settings, String> {
    let words: Vec<&str> = result.split(' ').collect();
    match words[..] {
        [fsync, commit, prepared, max, connections, server, citus] if success => Ok(Settings {
            syncs: fsync != "off",
            waits: commit != "off",
            max_prepared: number(prepared)?,
            max_connections: number(max)?,
            connections: number(connections)?,
            server: server.to_owned(),
            citus: citus.to_owned(),
        }),
        _ if result.is_empty() => Err("it does not answer".to_owned()),
        _ => Err(result.to_owned()),
    }
}

fn number(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_an_error_is_kept() {
        let read = settings(true, "off on 400 100 7 150018 13.2-1").unwrap();
        assert_eq!((read.syncs, read.waits), (false, true));
        assert_eq!(
            (read.max_prepared, read.max_connections, read.connections),
            (400, 100, 7)
        );
        assert!(read.prepares_enough());
        assert!(
            !settings(true, "on on 99 100 7 150018 13.2-1")
                .unwrap()
                .prepares_enough()
        );
        assert!(settings(true, "on on many 100 7 150018 13.2-1").is_err());
        assert_eq!((read.server.as_str(), read.citus.as_str()), ("150018", "13.2-1"));
        let refused = settings(false, "connection refused by the server");
        assert_eq!(refused.unwrap_err(), "connection refused by the server");
        assert_eq!(settings(false, "").unwrap_err(), "it does not answer");
        assert!(settings(true, "on on 400 100 7 150018").is_err());
    }
}
