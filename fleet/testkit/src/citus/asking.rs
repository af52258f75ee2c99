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
pub const ASK_ALL: [Asking; 2] = [
    Asking {
        start: "SELECT conversation_id, user_id, changed_no FROM participant",
        part: "changed_no >= $1",
        reason: "a node compares every 3 s",
    },
    Asking {
        start: "SELECT updated_ms FROM conversation",
        part: "max(id)",
        reason: "the clocks, at a start",
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
