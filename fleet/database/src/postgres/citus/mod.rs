//! Citus: a database whose rows lie on several machines (docs/decisions/0019-distributed.md). It is asked what it is at a
//! start, and `huizhen migrate --distributed citus` puts every table where it belongs.

mod layout;
mod machine;
mod shards;

use tokio_postgres::Client;

use self::layout::{FIRST, LAYOUT, OF_MEDIA, OF_USERS, Place, place};
pub(super) use self::machine::machines;
pub use self::{
    layout::of_conversation,
    machine::{Machine, Settings},
    shards::{Shards, Worker},
};
use crate::Error;

/// A function that Citus runs on the machine of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// `CREATE OR REPLACE FUNCTION …`
    pub text: &'static str,
    /// Its name and the types of its parameters.
    pub signature: &'static str,
    /// The parameter that names the conversation on whose machine it runs; `None`: on the coordinator.
    pub of_conversation: Option<&'static str>,
}

impl Function {
    /// The parts of its text that PostgreSQL keeps: the body, and the settings that hold within.
    fn kept(&self) -> (&'static str, Vec<String>) {
        let (head, rest) = self.text.split_once("$$").unwrap_or((self.text, ""));
        let body = rest.split_once("$$").map_or(rest, |(body, _)| body);
        let settings = head.split(" SET ").skip(1).map(|setting| {
            let words: Vec<&str> = setting.split_whitespace().take(3).collect();
            words.concat()
        });
        (body, settings.collect())
    }
}

/// The command that mends what a start refuses.
pub(super) const COMMAND: &str = "huizhen migrate --distributed citus";

/// A wait for a row of another machine ends before its caller stops waiting, as on one machine. Settings of a session on the
/// coordinator do not reach the others; those of a role do.
const LOCK_TIMEOUT: &str = "4s";

/// Invariant I1, where a machine leaves commits unsynced. A session's setting does not reach it either.
const SYNCED: &str = "DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM run_command_on_all_nodes('SHOW synchronous_commit') WHERE result = 'off') THEN
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET synchronous_commit = on', current_user, current_database());
    END IF; END $$";

/// How a server spreads its tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spread {
    /// It has the extension.
    pub(super) has_extension: bool,
    /// Conversations lie on the machines of their own, or the setting `huizhen.distributed` demands that a program acts so.
    pub(super) is_distributed: bool,
}

const SPREAD: &str = "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus'),
    lower(coalesce(current_setting('huizhen.distributed', true), '')) IN ('on', 'true', 'yes', '1')";

/// Whether other machines than the coordinator are there.
const HAS_WORKERS: &str =
    "SELECT EXISTS (SELECT 1 FROM pg_dist_node WHERE groupid <> 0 AND noderole = 'primary')";

/// Our tables: name, and the column that they are distributed by; NULL on the coordinator alone. A table that Citus does not
/// know has no second row.
const STANDING: &str = "SELECT c.relname::TEXT, p.logicalrelid IS NOT NULL,
      CASE WHEN p.partmethod = 'h' THEN column_to_column_name(p.logicalrelid, p.partkey) END
    FROM pg_catalog.pg_class c
    LEFT JOIN pg_dist_partition p ON p.logicalrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = (
      SELECT h.relnamespace FROM pg_catalog.pg_class h WHERE h.oid = to_regclass('refinery_schema_history'))";

/// Where a table stands.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    table: String,
    is_known: bool,
    column: Option<String>,
}

/// Asks a server what it is.
pub(super) async fn spread(client: &Client) -> Result<Spread, Error> {
    let row = client.query_one(SPREAD, &[]).await?;
    let (has_extension, acts_so) = (row.get(0), row.get(1));
    let is_distributed = acts_so || has_extension && is_first_known(client).await?;
    Ok(Spread {
        has_extension,
        is_distributed,
    })
}

async fn is_first_known(client: &Client) -> Result<bool, Error> {
    let standings = standings(client).await?;
    Ok(standings
        .iter()
        .any(|standing| standing.table == FIRST && standing.is_known))
}

/// Refuses a server of several machines with a table that does not lie where it belongs: a transaction over it would not be
/// one.
///
/// # Errors
/// [`Error::Open`] with the tables and the command.
pub(super) async fn must_be_placed(client: &Client, spread: Spread) -> Result<(), Error> {
    if !spread.has_extension {
        return Ok(());
    }
    let has_workers: bool = client.query_one(HAS_WORKERS, &[]).await?.get(0);
    if !has_workers && !spread.is_distributed {
        return Ok(());
    }
    let standings = standings(client).await?;
    let misplaced = misplaced(&standings);
    if misplaced.is_empty() {
        return Ok(());
    }
    Err(Error::Open(format!(
        "the server has Citus, and these tables do not lie where they belong: {}; stop the fleet and run `{COMMAND}`",
        misplaced.join(", ")
    )))
}

const KEPT: &str =
    "SELECT prosrc, COALESCE(proconfig, '{}') FROM pg_catalog.pg_proc WHERE oid = to_regprocedure($1)";

/// Refuses a server whose functions are missing, or of another release.
///
/// # Errors
/// [`Error::Open`] with the functions and the command.
pub(super) async fn must_have(client: &Client, functions: &[Function]) -> Result<(), Error> {
    let mut missing = Vec::new();
    for function in functions {
        let row = client.query_opt(KEPT, &[&function.signature]).await?;
        let kept: Option<(String, Vec<String>)> = row.map(|row| (row.get(0), row.get(1)));
        let (body, settings) = function.kept();
        if kept.is_none_or(|(kept_body, kept_settings)| kept_body != body || kept_settings != settings) {
            missing.push(function.signature);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Open(format!(
        "the server has not these functions of this release: {}; stop the fleet and run `{COMMAND}`",
        missing.join(", ")
    )))
}

async fn standings(client: &Client) -> Result<Vec<Standing>, Error> {
    let rows = client.query(STANDING, &[]).await?;
    let standings = rows.iter().map(|row| Standing {
        table: row.get(0),
        is_known: row.get(1),
        column: row.get(2),
    });
    Ok(standings.collect())
}

/// Our tables that lie elsewhere than they should.
fn misplaced(standings: &[Standing]) -> Vec<&str> {
    let is_misplaced = |standing: &&Standing| match place(&standing.table) {
        None => false,
        Some(Place::Coordinator) => !standing.is_known || standing.column.is_some(),
        Some(Place::OfConversation(column)) => standing.column.as_deref() != Some(column),
    };
    let misplaced = standings.iter().filter(is_misplaced);
    misplaced.map(|standing| standing.table.as_str()).collect()
}

/// A table that was put where it belongs, in words.
pub type Placed = String;

/// Puts every table where it belongs, also those that have rows, and makes the functions. What is done already stays.
///
/// # Errors
/// [`Error::Open`] when the server has no Citus, or a table was distributed otherwise.
pub(super) async fn distribute(client: &Client, functions: &[Function]) -> Result<Vec<Placed>, Error> {
    let spread = spread(client).await?;
    if !spread.has_extension {
        if !spread.is_distributed {
            return Err(Error::Open(
                "the server has no Citus: CREATE EXTENSION citus in this database, on the coordinator and on each worker"
                    .into(),
            ));
        }
        for function in functions {
            client.batch_execute(function.text).await?;
        }
        return fill(client).await.map(|()| Vec::new());
    }
    let standings = standings(client).await?;
    let mut placed = Vec::new();
    for group in LAYOUT {
        for table in group.tables {
            let standing = standings.iter().find(|standing| standing.table == *table);
            let standing = standing.ok_or_else(|| Error::Open(format!("the table {table} is missing")))?;
            if let Some(done) = put(client, standing, group.place).await? {
                placed.push(format!("{done}: {}", group.reason));
            }
        }
    }
    for function in functions {
        client.batch_execute(function.text).await?;
        let Some(argument) = function.of_conversation else {
            continue;
        };
        let signature = function.signature;
        let distribute = format!(
            "SELECT create_distributed_function('{signature}', '{argument}', colocate_with => '{FIRST}')"
        );
        client.batch_execute(&distribute).await?;
    }
    let limit = format!(
        "DO $$ BEGIN EXECUTE format('ALTER ROLE %I IN DATABASE %I SET lock_timeout = ''{LOCK_TIMEOUT}''', \
         current_user, current_database()); END $$"
    );
    client.batch_execute(&limit).await?;
    client.batch_execute(SYNCED).await?;
    fill(client).await?;
    Ok(placed)
}

/// Fills the directory, where rows came otherwise than by the journal.
///
/// # Errors
/// The server's.
pub(crate) async fn fill(client: &Client) -> Result<(), Error> {
    let fill = format!(
        "INSERT INTO {OF_USERS} (user_id, conversation_id) SELECT DISTINCT user_id, conversation_id FROM participant
         ON CONFLICT DO NOTHING;
         INSERT INTO {OF_MEDIA} (media_id, conversation_id) SELECT DISTINCT media_id, conversation_id FROM media_entry
         ON CONFLICT DO NOTHING"
    );
    Ok(client.batch_execute(&fill).await?)
}

async fn put(client: &Client, standing: &Standing, place: Place) -> Result<Option<Placed>, Error> {
    let table = &standing.table;
    let (statement, done) = match (place, standing.is_known, &standing.column) {
        (Place::Coordinator, true, None) => return Ok(None),
        (Place::OfConversation(column), true, Some(by)) if by == column => return Ok(None),
        (_, true, _) => {
            return Err(Error::Open(format!(
                "the table {table} was distributed otherwise: SELECT undistribute_table('{table}'), then `{COMMAND}`"
            )));
        }
        (Place::OfConversation(column), false, _) => {
            let beside = if table == FIRST { "none" } else { FIRST };
            (
                // The rows of before are copied, and would stay on the coordinator, unseen.
                format!(
                    "SELECT create_distributed_table('{table}', '{column}', colocate_with => '{beside}');
                     SELECT truncate_local_data_after_distributing_table('{table}')"
                ),
                format!("{table} by {column}"),
            )
        }
        (Place::Coordinator, false, _) => (
            format!("SELECT citus_add_local_table_to_metadata('{table}')"),
            format!("{table} on the coordinator"),
        ),
    };
    let outcome = client.batch_execute(&statement).await;
    outcome.map_err(|error| Error::Open(format!("{statement}: {}", Error::describe(&error))))?;
    Ok(Some(done))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(table: &str, is_known: bool, column: Option<&str>) -> Standing {
        Standing {
            table: table.to_owned(),
            is_known,
            column: column.map(str::to_owned),
        }
    }

    #[test]
    fn a_function_is_known_by_its_body_and_settings() {
        let function = |text| Function {
            text,
            signature: "f()",
            of_conversation: None,
        };
        let plain = function("CREATE FUNCTION f() RETURNS INT LANGUAGE sql AS $$ SELECT 1 $$;");
        assert_eq!(plain.kept(), (" SELECT 1 ", Vec::new()));
        let set =
            function("CREATE FUNCTION f()\nLANGUAGE sql SET plan_cache_mode = force_custom_plan AS $$x$$");
        assert_eq!(
            set.kept(),
            ("x", vec!["plan_cache_mode=force_custom_plan".to_owned()])
        );
    }

    #[test]
    fn a_table_lies_where_it_belongs_or_is_named() {
        for (is_known, column, table, is_fine) in [
            (true, Some("id"), "conversation", true),
            (true, Some("kind"), "conversation", false),
            (true, None, "conversation", false),
            (false, None, "conversation", false),
            (true, Some("conversation_id"), "entry", true),
            (true, Some("seq"), "entry", false),
            (true, None, "account", true),
            (true, Some("id"), "account", false),
            (false, None, "account", false),
            (false, None, "refinery_schema_history", true),
            (false, None, "a_table_of_another_program", true),
        ] {
            let standings = [standing(table, is_known, column)];
            let expected: &[&str] = if is_fine { &[] } else { &[table] };
            assert_eq!(misplaced(&standings), expected, "{table} {is_known} {column:?}");
        }
    }
}
