-- Private chats: one row for each of the two, so that each pair has one conversation whatever requests race.
CREATE TABLE chat (
    user_id BIGINT NOT NULL,
    other_id BIGINT NOT NULL,
    conversation_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, other_id)
);
CREATE INDEX chat_by_time ON chat (user_id, created_ms, conversation_id);
