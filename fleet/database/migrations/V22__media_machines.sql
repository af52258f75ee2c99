-- Which conversations name a medium: where these lie on several machines, the ones that may show it are found here, and only
-- their machines are asked. On one machine the table stays empty: media_entry says the same.
CREATE TABLE media_conversation (
    media_id BIGINT NOT NULL,
    conversation_id BIGINT NOT NULL,
    PRIMARY KEY (media_id, conversation_id)
) {without_rowid};
