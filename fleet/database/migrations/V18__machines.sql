-- Which conversations a user is or was in: where these lie on several machines, a user's own are found here, and only the
-- machines that have some of them are asked. On one machine the table stays empty: an index of participant says the same.
CREATE TABLE user_conversation (
    user_id BIGINT NOT NULL,
    conversation_id BIGINT NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
) {without_rowid};
