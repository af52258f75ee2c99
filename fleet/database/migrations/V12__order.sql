-- The order of changes to who is in a conversation, given by the database: no clock decides what a node or an app has seen.
-- On SQLite the id of the entry that tells of the change, on PostgreSQL the id of its transaction; 0 is long ago.
ALTER TABLE participant ADD COLUMN changed_no BIGINT NOT NULL DEFAULT 0;
-- An api-server of the release before does not name the column.
{on_server}ALTER TABLE participant ALTER COLUMN changed_no SET DEFAULT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT);
-- participant_by_change stays for nodes of the release before.
CREATE INDEX participant_by_change_no ON participant (changed_no);

-- An app's conversations are read page by page, in this order.
DROP INDEX participant_by_user;
CREATE INDEX participant_by_user ON participant (user_id, conversation_id, from_seq);
