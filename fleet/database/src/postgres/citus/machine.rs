//! The machines of a database that is spread over several.

use tokio_postgres::Client;

use crate::Error;

/// The settings that decide about commits there, in one line.
const SETTINGS: &str =
    "SELECT concat_ws('' '', current_setting(''fsync''), current_setting(''synchronous_commit''),
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
    /// `server_version_num`
    pub server: String,
    /// The version of the extension.
    pub citus: String,
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
        [fsync, commit, server, citus] if success => Ok(Settings {
            syncs: fsync != "off",
            waits: commit != "off",
            server: server.to_owned(),
            citus: citus.to_owned(),
        }),
        _ if result.is_empty() => Err("it does not answer".to_owned()),
        _ => Err(result.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_an_error_is_kept() {
        let read = settings(true, "off on 150018 13.2-1").unwrap();
        assert_eq!((read.syncs, read.waits), (false, true));
        assert_eq!((read.server.as_str(), read.citus.as_str()), ("150018", "13.2-1"));
        let refused = settings(false, "connection refused by the server");
        assert_eq!(refused.unwrap_err(), "connection refused by the server");
        assert_eq!(settings(false, "").unwrap_err(), "it does not answer");
        assert!(settings(true, "on on 150018").is_err());
    }
}
