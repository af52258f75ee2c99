//! The privileges of the role. A refusal names the statement that grants the missing ones.

use telemetry::events::database::Event;
use tokio_postgres::{Client, error::SqlState};

use crate::{Error, postgres::failure};

/// Role, database and the schema where tables are found and made; NULL where the role may use none.
const WHERE: &str = "SELECT current_user::TEXT, current_database()::TEXT, current_schema()::TEXT,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)";

/// Our tables that cannot be read or added to, and those that cannot be changed. Ours are those of the role that made
/// the schema, but for extensions' own.
const WITHOUT: &str = "SELECT
      string_agg(t.name, ', ' ORDER BY t.name) FILTER (WHERE NOT t.reads OR NOT (t.adds OR t.is_history)),
      string_agg(t.name, ', ' ORDER BY t.name) FILTER (WHERE NOT (t.changes OR t.is_history))
    FROM (SELECT c.relname::TEXT AS name, c.relname = 'refinery_schema_history' AS is_history,
        has_table_privilege(c.oid, 'SELECT') AS reads, has_table_privilege(c.oid, 'INSERT') AS adds,
        has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') AS changes
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_class h ON h.oid = to_regclass('refinery_schema_history')
      WHERE c.relnamespace = h.relnamespace AND c.relowner = h.relowner AND c.relkind IN ('r', 'p')
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')) t";

/// The role of this program on the server, and the schema of its tables.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    name: String,
    database: String,
    schema: String,
    may_create: bool,
}

impl Role {
    /// Asks the server.
    ///
    /// # Errors
    /// [`Error::Open`] when the role may use no schema of its search path.
    pub(crate) async fn of(client: &Client) -> Result<Self, Error> {
        let row = client.query_one(WHERE, &[]).await?;
        let (name, database): (String, String) = (row.get(0), row.get(1));
        let Some(schema) = row.get::<_, Option<String>>(2) else {
            return Err(Error::Open(format!(
                "the role {name:?} may use no schema of its search_path. As the owner of the schema: \
                 GRANT USAGE, CREATE ON SCHEMA public TO {name:?}"
            )));
        };
        Ok(Self {
            name,
            database,
            schema,
            may_create: row.get(3),
        })
    }

    /// Whether it may make tables.
    pub(crate) fn may_create(&self) -> bool {
        self.may_create
    }

    /// Why tables cannot be made, with what to grant.
    pub(crate) fn refusal(&self) -> Error {
        Error::Open(format!(
            "the role {:?} may not make tables in the schema {:?} (permission denied). {}",
            self.name,
            self.schema,
            self.cure()
        ))
    }

    /// Whether it may use the tables that are there.
    ///
    /// # Errors
    /// [`Error::Open`] with what to grant.
    pub(crate) async fn must_use_tables(&self, client: &Client) -> Result<(), Error> {
        let row = client.query_one(WITHOUT, &[]).await?;
        let grant = format!(
            "As their owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {:?} TO {:?}",
            self.schema, self.name
        );
        if let Some(tables) = row.get::<_, Option<String>>(0) {
            return Err(Error::Open(format!(
                "the role {:?} may not read and write these tables: {tables}. {grant}",
                self.name
            )));
        }
        if let Some(tables) = row.get::<_, Option<String>>(1) {
            Event::MissingPrivileges {
                role: &self.name,
                tables: &tables,
                grant: &grant,
            }
            .emit();
        }
        Ok(())
    }

    /// The text of a failed migration, with the cure where a privilege is missing.
    pub(crate) fn explain(&self, error: &(dyn std::error::Error + 'static)) -> String {
        let mut cause = Some(error);
        while let Some(found) = cause {
            if let Some(refusal) = found.downcast_ref::<tokio_postgres::Error>() {
                let text = failure::chain(refusal);
                return match refusal.code() {
                    Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                        format!("{text}. {}", self.cure())
                    }
                    _ => text,
                };
            }
            cause = found.source();
        }
        error.to_string()
    }

    fn cure(&self) -> String {
        let Self {
            name,
            database,
            schema,
            ..
        } = self;
        format!(
            "As a superuser: ALTER DATABASE {database:?} OWNER TO {name:?} or GRANT CREATE ON SCHEMA {schema:?} TO {name:?}; \
             tables that another role made are changed by that role alone (run `huizhen migrate` as it), or \
             REASSIGN OWNED BY it TO {name:?}"
        )
    }
}
