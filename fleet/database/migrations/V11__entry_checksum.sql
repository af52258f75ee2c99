-- What an entry says, its place and its sender, summed up: who reads it verifies it (docs/decisions/0007-damage.md). ~ of
-- the sum while the entry is recalled. NULL where a program before this version wrote it, which on a file is none.
ALTER TABLE entry ADD COLUMN checksum BIGINT;
{in_file}UPDATE entry SET checksum = row_checksum(conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body, reply_to_seq, corrects_seq, extra);
{in_file}UPDATE entry SET checksum = ~checksum WHERE recalled;
