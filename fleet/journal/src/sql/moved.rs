//! Statements to run after a copy to another engine, and after a restore.

/// For [`database::copy::copy`] to PostgreSQL, which looks for resends in `sent` alone: adds the messages that the file had
/// not indexed yet. 1 is the kind of a message.
pub const AFTER_COPY: &[&str] = &[
    "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
     SELECT e.conversation_id, e.sender_id, e.client_msg_id, e.seq
     FROM conversation c JOIN entry e ON e.conversation_id = c.id AND e.seq > c.claimed_seq
     WHERE e.kind = 1 AND e.client_msg_id <> '' AND c.claimed_seq < c.last_seq
     ON CONFLICT DO NOTHING",
    "UPDATE conversation SET claimed_seq = last_seq WHERE claimed_seq < last_seq",
    // Numbers of one engine's order mean nothing on another.
    "UPDATE participant SET changed_no = 0 WHERE changed_no <> 0",
    "UPDATE hidden_conversation SET changed_no = 0 WHERE changed_no <> 0",
    "INSERT INTO sequence (name, next_value) VALUES ('order_lineage', 1)
     ON CONFLICT (name) DO UPDATE SET next_value = sequence.next_value + 1",
];

/// By how much a restore advances the sequences of ids: more than any fleet allocates between backup and restore. No id is
/// allocated twice, so an app never mistakes a new conversation for one that it remembers.
pub const SEQUENCE_GAP: i64 = 1_000_000_000;

/// For a database that was restored to an earlier moment: its conversations begin another history. The new epoch makes apps
/// drop their copies, since other entries may get the seqs that they saw. The epoch is the time of the restore, so that two
/// restores of one backup are two histories.
pub fn after_restore(now_ms: i64) -> Vec<String> {
    vec![
        format!(
            "UPDATE conversation SET epoch = CASE WHEN epoch < {now_ms} THEN {now_ms} ELSE epoch + 1 END"
        ),
        format!("UPDATE sequence SET next_value = next_value + {SEQUENCE_GAP}"),
        // Tokens from before the restore, or from another one, are invalid.
        format!(
            "INSERT INTO sequence (name, next_value) VALUES ('order_lineage', {now_ms})
             ON CONFLICT (name) DO UPDATE SET next_value = excluded.next_value"
        ),
        "UPDATE participant SET changed_no = 0 WHERE changed_no <> 0".to_owned(),
        "UPDATE hidden_conversation SET changed_no = 0 WHERE changed_no <> 0".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use proto::wire::EntryKind;

    #[test]
    fn a_message_has_the_kind_that_the_statement_names() {
        assert_eq!(EntryKind::Message as i32, 1);
    }
}
