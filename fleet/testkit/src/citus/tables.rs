//! The tables that lie on the machine of a conversation. Every other table is the coordinator's.

/// The tables whose rows lie on the machine of their conversation, and the column that names it. The crate `database` has them
/// with reasons, and its tests compare both.
pub const OF_CONVERSATION: [(&str, &str); 7] = [
    ("conversation", "id"),
    ("participant", "conversation_id"),
    ("entry", "conversation_id"),
    ("sent", "conversation_id"),
    ("mark", "conversation_id"),
    ("correction", "conversation_id"),
    ("media_entry", "conversation_id"),
];

/// The column that a table is distributed by; none of the coordinator's.
pub(super) fn column_of(table: &str) -> Option<&'static str> {
    let found = OF_CONVERSATION.iter().find(|(name, _)| *name == table);
    found.map(|(_, column)| *column)
}
