//! PostgreSQL over several machines (docs/decisions/0019-distributed.md): what differs from one server, and the functions
//! that `huizhen migrate --distributed citus` makes.

use database::postgres::citus::Function;

use super::{Dialect, postgres};
use crate::{
    conversation::{directory::Directory, glimpse::Look},
    entry,
};

/// The functions that the statements of this crate call.
pub const FUNCTIONS: &[Function] = &[
    Function {
        text: include_str!("journal_append.sql"),
        signature: "journal_append(bigint, bigint, bigint, bigint, bigint, bigint, bigint[], bigint[], text[], text[], \
                    bytea[], bigint[], bigint[], bytea[], bigint[], bigint[], bigint[])",
        of_conversation: Some("of_conversation"),
    },
    Function {
        text: include_str!("journal_horizon.sql"),
        signature: "journal_horizon()",
        of_conversation: None,
    },
];

/// Messages are committed by the machine of their conversation, whose transaction ids mean nothing on another one: a
/// conversation counts as changed at all times. Changes of participation have numbers of the coordinator.
macro_rules! order_columns {
    () => {
        "9223372036854775807, p.changed_no, CAST(0 AS BIGINT)"
    };
}

/// A range of a conversation. Those of several lie on several machines, and Citus joins no list of them with their entries.
const GLIMPSE: &str = concat!(
    "SELECT ",
    entry::columns_of_e!("e.seq"),
    ", CAST($2 AS BIGINT),
       (SELECT count(*) FROM (SELECT 1 FROM entry n WHERE n.conversation_id = $3 AND n.seq >= $6 AND n.seq <= $5
          AND n.kind = 1 AND n.sender_id <> $1 AND NOT n.recalled LIMIT 100) AS new_messages),
       (SELECT p.name FROM participant p WHERE p.conversation_id = $3 AND p.user_id = e.sender_id
        ORDER BY p.from_seq DESC LIMIT 1)
     FROM entry e WHERE e.conversation_id = $3 AND e.kind = 1 AND e.seq >= $4 AND e.seq <= $5 ORDER BY e.seq DESC LIMIT 1"
);

/// Adds conversation $2 of medium $1.
pub(crate) const ADD_MEDIUM: &str =
    "INSERT INTO media_conversation (media_id, conversation_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";

pub(super) const DIALECT: Dialect = Dialect {
    glimpse: Look::Each(GLIMPSE),
    directory: Some(Directory {
        of_user: "SELECT conversation_id FROM user_conversation
            WHERE user_id = $1 AND conversation_id < $2 AND conversation_id >= $3 ORDER BY conversation_id DESC LIMIT $4",
        of_both: "SELECT mine.conversation_id FROM user_conversation mine
            JOIN user_conversation theirs ON theirs.conversation_id = mine.conversation_id AND theirs.user_id = $2
            WHERE mine.user_id = $1 AND mine.conversation_id < $3 ORDER BY mine.conversation_id DESC LIMIT $4",
        add_user: "INSERT INTO user_conversation (user_id, conversation_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        add_medium: ADD_MEDIUM,
    }),
    horizon: "SELECT journal_horizon()",
    overviews: overviews!(order_columns!(), one),
    overview: overviews!(order_columns!(), one),
    sharing: sharing!(" AND mine.conversation_id = $3"),
    of_medium: "SELECT m.conversation_id FROM media_conversation m
        JOIN user_conversation u ON u.user_id = $2 AND u.conversation_id = m.conversation_id WHERE m.media_id = $1",
    has_met: has_met!(" AND mine.conversation_id = $3"),
    ..postgres::DIALECT
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_makes_the_function_of_its_signature() {
        for function in FUNCTIONS {
            let name = function.signature.split('(').next().unwrap();
            let makes = format!("CREATE OR REPLACE FUNCTION {name}(");
            assert!(function.text.contains(&makes), "{name}");
            let parameters = function.text.split_once(&makes).unwrap().1;
            let parameters = parameters.split_once(')').unwrap().0;
            let types = |text: &str| text.split(',').filter(|part| !part.trim().is_empty()).count();
            let signature = function.signature.split_once('(').unwrap().1;
            assert_eq!(
                types(parameters),
                types(signature.trim_end_matches(')')),
                "{name}"
            );
            if let Some(first) = function.of_conversation {
                assert!(parameters.starts_with(first), "{name}");
            }
        }
    }
}
