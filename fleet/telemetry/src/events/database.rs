//! The SQL database, on both engines.

crate::catalogue! {
    COMMIT_S: Histogram(
        "huizhen_database_commit_seconds",
        "How long SQLite's COMMIT takes, its sync included, s",
    );
    LATE_ANSWERS: Counter(
        "huizhen_database_late_answers_total",
        "Statements that were answered for the caller before the database answered",
    );
    UNCONFIRMED_COMMITS: Counter(
        "huizhen_database_unconfirmed_commits_total",
        "Commits that PostgreSQL called done without its standby, because their wait was cancelled; they are not acknowledged",
    );
    DAMAGED_PAGES: Counter(
        "huizhen_database_damaged_pages_total",
        "Times that a page of a SQLite file or its log was read that is not what was written; nothing of it is served",
    );
    CHECKPOINT_S: HistogramBy(
        "huizhen_database_checkpoint_seconds",
        "by",
        &["open", "thread", "writer"],
        "How long SQLite's log takes to be moved into the file, s",
    );
}
