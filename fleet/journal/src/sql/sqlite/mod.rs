//! SQLite: an entry is in the indexes or in the chain of its conversation ([`chain`]), and the number of a change is the id
//! of its newest entry.

pub(crate) mod chain;

use self::chain::with_unindexed;
pub(crate) use self::chain::{STATEMENTS, insert, next_seq};
use super::Dialect;
use crate::{
    conversation::glimpse::Look,
    entry::{self, Checksums},
};

macro_rules! entries {
    ($order:literal) => {
        concat!(
            with_unindexed!("AND c.claimed_seq < $3"),
            "SELECT ",
            entry::columns_of_e!("i.seq"),
            " FROM entry_index i CROSS JOIN entry e ON e.id = i.entry_id
              WHERE i.conversation_id = $1 AND i.seq >= $2 AND i.seq <= $3
              UNION ALL SELECT ",
            entry::columns_of_e!("u.seq"),
            " FROM unindexed u CROSS JOIN entry e ON e.id = u.id WHERE u.seq >= $2 AND u.seq <= $3 ORDER BY seq ",
            $order,
            "LIMIT $4"
        )
    };
}

/// The id of entry $3 in conversation $1.
macro_rules! entry_id {
    () => {
        "(SELECT entry_id FROM entry_index WHERE conversation_id = $1 AND seq = $3
          UNION ALL SELECT id FROM unindexed WHERE seq = $3)"
    };
}

/// Numbers here have 64 bits: there is nothing to extend.
macro_rules! order_columns {
    () => {
        "COALESCE(c.unclaimed_entry_id, (SELECT i.entry_id FROM entry_index i
           WHERE i.conversation_id = c.id AND i.seq = c.last_seq), 0), p.changed_no, 0"
    };
}

macro_rules! change_no {
    () => {
        "(SELECT COALESCE(max(id), 0) + 1 FROM entry)"
    };
}

pub(crate) const DIALECT: Dialect = Dialect {
    directory: None,
    checksums: Checksums::OfAllEntries,
    glimpse: Look::Together([
        concat!(
            "COALESCE((",
            with_unindexed!("v.conversation", "AND c.claimed_seq < v.high"),
            "SELECT max(u.id) FROM unindexed u CROSS JOIN entry e ON e.id = u.id
               WHERE u.seq >= v.low AND u.seq <= v.high AND e.kind = 1),
             (SELECT i.entry_id FROM entry_index i CROSS JOIN entry e ON e.id = i.entry_id
               WHERE i.conversation_id = v.conversation AND i.seq >= v.low AND i.seq <= v.high AND e.kind = 1
               ORDER BY i.seq DESC LIMIT 1))"
        ),
        "e.id = w.last_entry",
        concat!(
            "(",
            with_unindexed!("v.conversation", "AND c.claimed_seq < v.high"),
            "SELECT count(*) FROM (
               SELECT 1 FROM entry_index i CROSS JOIN entry e ON e.id = i.entry_id
                 WHERE i.conversation_id = v.conversation AND i.seq >= v.unread_from AND i.seq <= v.high
                   AND e.kind = 1 AND e.sender_id <> $1 AND NOT e.recalled
               UNION ALL
               SELECT 1 FROM unindexed u CROSS JOIN entry e ON e.id = u.id
                 WHERE u.seq >= v.unread_from AND u.seq <= v.high AND e.kind = 1 AND e.sender_id <> $1 AND NOT e.recalled
               LIMIT 100) AS new_messages)"
        ),
    ]),
    entries: entries!(""),
    newest_entries: entries!("DESC "),
    horizon: "SELECT COALESCE(max(id), 0) + 1 FROM entry",
    overviews: overviews!(order_columns!(), page),
    overview: overviews!(order_columns!(), one),
    sharing: sharing!(""),
    has_met: has_met!(""),
    of_medium: of_medium!(),
    unread: concat!(
        with_unindexed!("AND c.claimed_seq < $3"),
        "SELECT count(*) FROM (
           SELECT 1 FROM entry_index i CROSS JOIN entry e ON e.id = i.entry_id
             WHERE i.conversation_id = $1 AND i.seq >= $2 AND i.seq <= $3
               AND e.kind = $4 AND e.sender_id <> $5 AND NOT e.recalled
           UNION ALL
           SELECT 1 FROM unindexed u CROSS JOIN entry e ON e.id = u.id
             WHERE u.seq >= $2 AND u.seq <= $3 AND e.kind = $4 AND e.sender_id <> $5 AND NOT e.recalled
           LIMIT $6) AS new_messages"
    ),
    has_served: concat!(
        with_unindexed!(),
        "SELECT 1 FROM entry_index i CROSS JOIN entry e ON e.id = i.entry_id
           WHERE i.conversation_id = $1 AND e.sender_id = $2 AND e.kind IN ($3, $4)
         UNION ALL
         SELECT 1 FROM unindexed u CROSS JOIN entry e ON e.id = u.id WHERE e.sender_id = $2 AND e.kind IN ($3, $4)
         LIMIT 1"
    ),
    recall_facts: concat!(
        with_unindexed!("AND c.claimed_seq < $3"),
        "SELECT p.role, c.open, e.sender_id, e.kind, e.created_ms, e.recalled
         FROM participant p
         JOIN conversation c ON c.id = p.conversation_id
         JOIN entry e ON e.id = ",
        entry_id!(),
        " WHERE p.conversation_id = $1 AND p.user_id = $2 AND p.to_seq IS NULL
           AND EXISTS (SELECT 1 FROM participant s WHERE s.conversation_id = $1 AND s.user_id = $2
                         AND COALESCE(s.sees_from_seq, s.from_seq) <= $3 AND (s.to_seq IS NULL OR s.to_seq >= $3))"
    ),
    recalled_by: concat!(
        with_unindexed!(),
        "SELECT i.seq AS seq FROM entry_index i CROSS JOIN entry e ON e.id = i.entry_id
           WHERE i.conversation_id = $1 AND i.seq > $2 AND e.corrects_seq = $2 AND e.kind = $3
         UNION ALL
         SELECT u.seq AS seq FROM unindexed u CROSS JOIN entry e ON e.id = u.id
           WHERE u.seq > $2 AND e.corrects_seq = $2 AND e.kind = $3
         ORDER BY seq LIMIT 1"
    ),
    withhold: concat!(
        with_unindexed!("AND c.claimed_seq < $3"),
        withhold!(),
        "id = ",
        entry_id!()
    ),
    // The chain is short: the plus keeps SQLite from making an index of it.
    sees_media: concat!(
        with_unindexed!(),
        "SELECT m.seq ",
        naming_media!(),
        "JOIN entry e ON e.id = (SELECT entry_id FROM entry_index WHERE conversation_id = $1 AND seq = m.seq
           UNION ALL SELECT id FROM unindexed WHERE +seq = m.seq)
         WHERE m.media_id = $3 AND m.conversation_id = $1 AND NOT e.recalled LIMIT 1"
    ),
    join: join!(change_no!()),
    leave: leave!(change_no!()),
    hide: hide!(change_no!()),
    unhide: unhide!(change_no!()),
};
