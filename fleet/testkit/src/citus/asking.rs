//! Statements that ask every machine on purpose.

/// A statement that may ask every machine.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// Its first words.
    pub start: &'static str,
    /// A part that no other statement with these first words has.
    pub part: &'static str,
    /// The reason.
    pub reason: &'static str,
}

/// All of them. The tests of the crate `journal` show that each is still there.
pub const ASK_ALL: [Asking; 5] = [
    Asking {
        start: "SELECT conversation_id, user_id, changed_no FROM participant",
        part: "changed_no >= $1",
        reason: "a node compares every 3 s",
    },
    Asking {
        start: "SELECT 1 FROM participant mine",
        part: "theirs.to_seq IS NULL",
        reason: "presence of a user who is no participant",
    },
    Asking {
        start: "SELECT 1 FROM participant mine",
        part: "COALESCE(mine.to_seq",
        reason: "the card of a user who is in no team of the caller",
    },
    Asking {
        start: "SELECT updated_ms FROM conversation",
        part: "max(id)",
        reason: "the clocks, at a start",
    },
    Asking {
        start: "SELECT DISTINCT m.conversation_id FROM media_entry m",
        part: "m.media_id = $1",
        reason: "a medium that is shown over REST",
    },
];

impl Asking {
    /// Whether a statement is this one, however its lines are broken.
    pub fn is(&self, sql: &str) -> bool {
        let plain = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        plain.starts_with(self.start) && plain.contains(self.part)
    }
}

/// Whether a statement may ask every machine.
pub fn may_ask_all(sql: &str) -> bool {
    ASK_ALL.iter().any(|asking| asking.is(sql))
}
