//! The identity of the fleet that a database belongs to: an id and a key, random, made once. The programs of the fleet keep
//! their shared records in Redis under the id, and authenticate them with the key.

use std::fmt;

use crate::{Database, Error, Row, params};

/// The schema version that brought the table.
const SINCE_VERSION: i64 = 10;

const FIND: &str = "SELECT id, secret_key FROM fleet WHERE number = 1";

/// Two programs that start together make one row: the second one waits for the first and then drops its own.
const MAKE: &str =
    "INSERT INTO fleet (number, id, secret_key) VALUES (1, $1, $2) ON CONFLICT (number) DO NOTHING";

/// Lets the next start make another identity. For a database that begins as a copy: the original fleet may go on, and
/// must not be taken for the same one.
pub const FORGET_FLEET: &str = "DELETE FROM fleet";

/// The identity of a fleet.
#[derive(Clone, PartialEq, Eq)]
pub struct FleetIdentity {
    /// Part of the name of every record that the fleet keeps outside the database.
    pub id: u64,
    /// Authenticates those records. A secret.
    pub key: [u8; 32],
}

impl FleetIdentity {
    /// The id as text; it is not secret.
    pub fn id_text(&self) -> String {
        format!("{:016x}", self.id)
    }
}

impl fmt::Debug for FleetIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FleetIdentity({:016x})", self.id)
    }
}

impl Database {
    /// The identity of the fleet; the first start makes it.
    ///
    /// # Errors
    /// The engine's; [`Error::Damaged`] when the row is damaged.
    pub async fn fleet(&self) -> Result<FleetIdentity, Error> {
        if let Some(row) = self.query_first(FIND, vec![]).await? {
            return read(&row);
        }
        let (id, key) = (rand::random::<i64>(), rand::random::<[u8; 32]>().to_vec());
        self.transaction(move |tx| Box::pin(async move { tx.execute(MAKE, params![id, key]).await }))
            .await?;
        match self.query_first(FIND, vec![]).await? {
            Some(row) => read(&row),
            None => Err(Error::Open(
                "the identity of the fleet was removed while this program started; start it again".into(),
            )),
        }
    }

    /// The identity of the fleet, without making one; `None` when no program has started on this database yet.
    ///
    /// # Errors
    /// As [`Self::fleet`].
    pub async fn find_fleet(&self) -> Result<Option<FleetIdentity>, Error> {
        if self.schema_version().await? < SINCE_VERSION {
            return Ok(None);
        }
        self.query_first(FIND, vec![])
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }
}

fn read(row: &Row) -> Result<FleetIdentity, Error> {
    let key: bytes::Bytes = row.get(1)?;
    Ok(FleetIdentity {
        id: row.get::<i64>(0)?.cast_unsigned(),
        key: key[..]
            .try_into()
            .map_err(|_| Error::Damaged("the key of the fleet is not of 32 bytes"))?,
    })
}
