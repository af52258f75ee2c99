-- Numbers for new rows; see database::Database::allocate_id.
CREATE TABLE sequence (
    name TEXT NOT NULL PRIMARY KEY,
    next_value BIGINT NOT NULL
);

-- A conversation. last_seq is the version of everything about it: whatever changes who may write, or whether one may,
-- is an entry and moves it.
CREATE TABLE conversation (
    id BIGINT NOT NULL PRIMARY KEY,
    -- wire ConversationKind
    kind BIGINT NOT NULL,
    -- the consult it belongs to; NULL for a private chat
    consult_id BIGINT,
    -- moves only when a database was restored or failed over with lost commits
    epoch BIGINT NOT NULL,
    -- whether it takes messages
    open BOOLEAN NOT NULL,
    title TEXT NOT NULL,
    last_seq BIGINT NOT NULL,
    -- messages up to here are in sent; never beyond last_seq, and moves only with it
    claimed_seq BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
) {without_rowid};

-- Spans of participation. Somebody sees the entries from_seq to to_seq of each of their spans, both included.
CREATE TABLE participant (
    conversation_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    from_seq BIGINT NOT NULL,
    -- NULL while they are in
    to_seq BIGINT,
    -- wire Role
    role BIGINT NOT NULL,
    -- when the span began or ended last, epoch milliseconds
    changed_ms BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, user_id, from_seq)
);
-- Nobody is in twice at a time, whatever requests race.
CREATE UNIQUE INDEX participant_conversation_id_user_id_key ON participant (conversation_id, user_id)
    WHERE to_seq IS NULL;
CREATE INDEX participant_by_user ON participant (user_id, conversation_id);
-- The sweep that repairs lost announcements asks for recent changes.
CREATE INDEX participant_by_change ON participant (changed_ms);

-- The journal. Rows are never deleted, and of a row only recalled ever changes.
CREATE TABLE entry (
    conversation_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    sender_id BIGINT NOT NULL,
    -- wire EntryKind
    kind BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    client_msg_id TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    body BYTEA NOT NULL,
    reply_to_seq BIGINT NOT NULL,
    corrects_seq BIGINT NOT NULL,
    -- an encoded wire Entry with mentions and event only; NULL when it has neither
    extra BYTEA,
    recalled BOOLEAN NOT NULL,
    PRIMARY KEY (conversation_id, seq)
);

-- What was sent under which client_msg_id, beside the entries because it is the costliest index of an append and can
-- be pruned when no app will resend any more. Messages come in some at a time: see conversation.claimed_seq.
CREATE TABLE sent (
    conversation_id BIGINT NOT NULL,
    sender_id BIGINT NOT NULL,
    client_msg_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, sender_id, client_msg_id)
) {without_rowid};

-- How far each participant got.
CREATE TABLE mark (
    conversation_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    received_seq BIGINT NOT NULL,
    read_seq BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) {without_rowid};
