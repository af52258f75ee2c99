//! The statements that differ between the engines, and the maintenance statements of a copy or a restore.
//!
//! Each engine fills one [`Dialect`]; callers read its fields and never ask which engine they run on. Statements that are
//! the same on both engines are constants beside their use.

/// Conversations of one user with spans, marks and [`crate::conversation::order::numbers`]: a page of them from the newest
/// id to the oldest, which walks one index, or one of them. The newest span of each comes first.
macro_rules! overviews {
    ($order:expr, page) => {
        overviews!(
            @ $order,
            "AND p.conversation_id < $2 AND p.conversation_id >= $3
             ORDER BY p.conversation_id DESC, p.from_seq DESC LIMIT $4"
        )
    };
    ($order:expr, one) => {
        overviews!(@ $order, "AND p.conversation_id = $2 ORDER BY p.from_seq DESC")
    };
    (@ $order:expr, $which:literal) => {
        concat!(
            "SELECT ",
            crate::conversation::columns!(),
            ", p.from_seq, p.to_seq, p.sees_from_seq, p.role, m.received_seq, m.read_seq, ",
            $order,
            " FROM participant p
             JOIN conversation c ON c.id = p.conversation_id
             LEFT JOIN mark m ON m.conversation_id = p.conversation_id AND m.user_id = p.user_id
             WHERE p.user_id = $1 ",
            $which
        )
    };
}

/// A conversation that users $1 and $2 are in now.
macro_rules! sharing {
    ($which:literal) => {
        concat!(
            "SELECT 1 FROM participant mine JOIN participant theirs
               ON theirs.conversation_id = mine.conversation_id AND theirs.user_id = $2
             WHERE mine.user_id = $1",
            $which,
            " AND mine.to_seq IS NULL AND theirs.to_seq IS NULL LIMIT 1"
        )
    };
}

/// A conversation in which user $1 saw some of user $2's time.
macro_rules! has_met {
    ($which:literal) => {
        concat!(
            "SELECT 1 FROM participant mine JOIN participant theirs
               ON theirs.conversation_id = mine.conversation_id AND theirs.user_id = $2
             WHERE mine.user_id = $1",
            $which,
            " AND theirs.from_seq <= COALESCE(mine.to_seq, theirs.from_seq)
               AND COALESCE(mine.sees_from_seq, mine.from_seq)
                 <= COALESCE(theirs.to_seq, COALESCE(mine.sees_from_seq, mine.from_seq)) LIMIT 1"
        )
    };
}

/// Changes the checksum with `recalled`: see [`crate::entry::Checksums`].
macro_rules! withhold {
    () => {
        "UPDATE entry SET recalled = $2, checksum = CASE WHEN recalled THEN checksum ELSE ~checksum END WHERE "
    };
}

/// Conversations of user $2 that name medium $1.
macro_rules! of_medium {
    () => {
        "SELECT DISTINCT m.conversation_id FROM media_entry m
         JOIN participant p ON p.conversation_id = m.conversation_id AND p.user_id = $2
         WHERE m.media_id = $1"
    };
}

/// Entries of conversation $1 that name medium $3 and lie in a span of user $2.
macro_rules! naming_media {
    () => {
        "FROM media_entry m
         JOIN participant p ON p.conversation_id = m.conversation_id AND p.user_id = $2
           AND COALESCE(p.sees_from_seq, p.from_seq) <= m.seq AND (p.to_seq IS NULL OR m.seq <= p.to_seq) "
    };
}

macro_rules! join {
    ($change_no:expr) => {
        concat!(
            "INSERT INTO participant (conversation_id, user_id, from_seq, to_seq, role, changed_ms, changed_no,
                 sees_from_seq, name, title, photo)
             VALUES ($1, $2, $3, NULL, $4, $5, ",
            $change_no,
            ", $6, $7, $8, $9) ON CONFLICT DO NOTHING"
        )
    };
}

macro_rules! leave {
    ($change_no:expr) => {
        concat!(
            "UPDATE participant SET to_seq = $1, changed_ms = $2, changed_no = ",
            $change_no,
            " WHERE conversation_id = $3 AND user_id = $4 AND to_seq IS NULL RETURNING role, name, title, photo"
        )
    };
}

/// Hides through entry $3. Never less than before: a request may have read an older state.
macro_rules! hide {
    ($change_no:expr) => {
        concat!(
            "INSERT INTO hidden_conversation (conversation_id, user_id, through_seq, changed_no)
             VALUES ($1, $2, $3, ",
            $change_no,
            ") ON CONFLICT (conversation_id, user_id) DO UPDATE
               SET through_seq = excluded.through_seq, changed_no = excluded.changed_no
               WHERE hidden_conversation.through_seq < excluded.through_seq"
        )
    };
}

macro_rules! unhide {
    ($change_no:expr) => {
        concat!(
            "UPDATE hidden_conversation SET through_seq = 0, changed_no = ",
            $change_no,
            " WHERE conversation_id = $1 AND user_id = $2 AND through_seq > 0"
        )
    };
}

pub mod citus;
pub mod moved;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use database::Engine;

use crate::{
    Error,
    conversation::{directory::Directory, glimpse::Look},
    entry::Checksums,
};

macro_rules! dialect {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The statements of one engine, and which of its entries carry checksums.
        pub(crate) struct Dialect {
            pub(crate) checksums: Checksums,
            pub(crate) glimpse: Look,
            /// Where conversations lie on several machines.
            pub(crate) directory: Option<Directory>,
            $($(#[$doc])* pub(crate) $name: &'static str,)*
        }

        impl Dialect {
            pub(crate) fn statements(&self) -> Vec<&'static str> {
                let of_directory = self.directory.iter().flat_map(Directory::statements);
                [$(self.$name),*].into_iter().chain(of_directory).collect()
            }
        }
    };
}

dialect! {
    /// Entries of conversation $1 with $2 <= seq <= $3, the oldest $4 of them in order.
    entries,
    /// The same, the newest $4 of them in reverse order.
    newest_entries,
    /// The number that divides visible changes from later ones.
    horizon,
    /// Conversations of user $1 with $3 <= id < $2, at most $4 rows.
    overviews,
    /// Conversation $2 of user $1.
    overview,
    /// Whether users $1 and $2 share a conversation now, and whether $1 saw some of $2's time in one; on several machines
    /// in conversation $3.
    sharing,
    has_met,
    /// Conversations of user $2 that name medium $1.
    of_medium,
    /// Messages of others than $5 in conversation $1 with $2 <= seq <= $3, counted up to $6; $4 is the kind of a message.
    unread,
    /// Whether user $2 made an entry of kind $3 or $4 in conversation $1.
    has_served,
    /// The facts that decide whether user $2 may recall entry $3 of conversation $1.
    recall_facts,
    /// The entry of kind $3 in conversation $1 that recalls entry $2.
    recalled_by,
    /// Sets `recalled` of entry $3 in conversation $1 to $2.
    withhold,
    /// The seq of an entry of conversation $1 that names medium $3, that user $2 sees, and that is not recalled.
    sees_media,
    /// Opens a span of participation.
    join,
    /// Closes the open span of a participant.
    leave,
    /// Hides conversation $1 through entry $3 from the lists of user $2.
    hide,
    /// Puts conversation $1 back on the lists of user $2.
    unhide,
}

impl Dialect {
    pub(crate) fn of(engine: &Engine) -> &'static Self {
        match engine {
            Engine::Sqlite(_) => &sqlite::DIALECT,
            Engine::Postgres(server) if server.is_distributed() => &citus::DIALECT,
            Engine::Postgres(_) => &postgres::DIALECT,
        }
    }
}

/// A fault: the conversation row is locked from [`crate::Journal::record`]'s first statement on.
fn moved_under_lock() -> Error {
    Error::Database(database::Error::Engine(
        "a conversation advanced while its row was locked".into(),
    ))
}
