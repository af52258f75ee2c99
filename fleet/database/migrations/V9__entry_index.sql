-- In a file, entries lie one behind the other as they came, and go into the index of their conversation some at a time:
-- an index that each one went into would cost a page of the log for nearly every message (docs/decisions/0003).
ALTER TABLE entry RENAME TO entry_before;

CREATE TABLE entry (
    -- counts up over all conversations
    id INTEGER PRIMARY KEY,
    -- the entry of the same conversation before it, when that was not claimed yet as this one came; else NULL
    previous_id BIGINT,
    conversation_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    sender_id BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    client_msg_id TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    body BYTEA NOT NULL,
    reply_to_seq BIGINT NOT NULL,
    corrects_seq BIGINT NOT NULL,
    extra BYTEA,
    recalled BOOLEAN NOT NULL
);

-- Where an entry lies. Entries are claimed, that is, come in here and their client_msg_ids into sent, some at a time, in
-- the order of seq: see conversation.claimed_seq.
CREATE TABLE entry_index (
    conversation_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    entry_id BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;

-- The newest entry that is not claimed; from there previous_id leads through all of them. NULL when all are claimed.
ALTER TABLE conversation ADD COLUMN unclaimed_entry_id BIGINT;

INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
    SELECT e.conversation_id, e.sender_id, e.client_msg_id, e.seq
    FROM conversation c JOIN entry_before e ON e.conversation_id = c.id AND e.seq > c.claimed_seq
    WHERE e.kind = 1
    ON CONFLICT DO NOTHING;
UPDATE conversation SET claimed_seq = last_seq;

INSERT INTO entry
    SELECT rowid, NULL, conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body, reply_to_seq,
        corrects_seq, extra, recalled
    FROM entry_before ORDER BY rowid;
INSERT INTO entry_index SELECT conversation_id, seq, rowid FROM entry_before ORDER BY conversation_id, seq;
DROP TABLE entry_before;
