//! What journals need after their rows came from somewhere else: from another engine, or from the past.

/// For [`database::copy::copy`] to PostgreSQL: a file puts messages into `sent` some at a time, and PostgreSQL, which looks
/// for resends nowhere else, has all of them there. 1 is the kind of a message.
pub const AFTER_COPY: &[&str] = &[
    "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
     SELECT e.conversation_id, e.sender_id, e.client_msg_id, e.seq
     FROM conversation c JOIN entry e ON e.conversation_id = c.id AND e.seq > c.claimed_seq
     WHERE e.kind = 1 AND c.claimed_seq < c.last_seq
     ON CONFLICT DO NOTHING",
    "UPDATE conversation SET claimed_seq = last_seq WHERE claimed_seq < last_seq",
    // The order of a file means nothing on another engine.
    "UPDATE participant SET changed_no = 0 WHERE changed_no <> 0",
    "INSERT INTO sequence (name, next_value) VALUES ('order_lineage', 1)
     ON CONFLICT (name) DO UPDATE SET next_value = sequence.next_value + 1",
];

/// How far a restore moves the sequences of ids on: further than any fleet came since the backup. An id that was given out
/// after it never comes again, so no app takes a new conversation for one that it remembers.
pub const SEQUENCE_GAP: i64 = 1_000_000_000;

/// For a database that was set back to an earlier moment: its conversations begin another history. Apps that have a copy
/// are told to forget it, since what follows may stand in the place of what they saw. The time of the restore is the epoch,
/// so that two restores of one backup are two histories.
pub fn after_restore(now_ms: i64) -> Vec<String> {
    vec![
        format!(
            "UPDATE conversation SET epoch = CASE WHEN epoch < {now_ms} THEN {now_ms} ELSE epoch + 1 END"
        ),
        format!("UPDATE sequence SET next_value = next_value + {SEQUENCE_GAP}"),
        // Tokens of the order before say nothing here, nor do those of another restore.
        format!(
            "INSERT INTO sequence (name, next_value) VALUES ('order_lineage', {now_ms})
             ON CONFLICT (name) DO UPDATE SET next_value = excluded.next_value"
        ),
        "UPDATE participant SET changed_no = 0 WHERE changed_no <> 0".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use proto::wire::EntryKind;

    #[test]
    fn a_message_is_of_the_kind_that_is_claimed() {
        assert_eq!(EntryKind::Message as i32, 1);
    }
}
