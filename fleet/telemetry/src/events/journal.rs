//! The journal: batches and damage.

crate::catalogue! {
    BATCH_SENDS: Histogram(
        "huizhen_journal_batch_sends",
        "Sends in a batch",
    );
    COMMIT_S: Histogram(
        "huizhen_journal_commit_seconds",
        "How long a batch takes, from its beginning to its commit, s",
    );
    SETTLE_S: Histogram(
        "huizhen_journal_settle_seconds",
        "How long answering and fanning out a batch takes, s",
    );
    LATE_SENDS: Counter(
        "huizhen_journal_late_sends_total",
        "Sends that were answered UNAVAILABLE because they had waited too long",
    );
    LOCKED_BATCHES: Counter(
        "huizhen_journal_locked_batches_total",
        "Batches that met a row that somebody else held",
    );
    STALE_BATCHES: Counter(
        "huizhen_journal_stale_batches_total",
        "Batches that were checked again because another process wrote to the file",
    );
    STALE_CONVERSATIONS: Counter(
        "huizhen_journal_stale_conversations_total",
        "Conversations that were checked again because another node wrote to them",
    );
    DOUBLE_ENTRIES: Counter(
        "huizhen_journal_double_entries_total",
        "Races for one client_msg_id that the unique key decided; on SQLite, entries that stand twice in a file, which is damage: look at the log",
    );
    DAMAGED_ENTRIES: Counter(
        "huizhen_journal_damaged_entries_total",
        "Entries that were asked for and are damaged or missing; they are not served",
    );
}
