-- Appends messages to one conversation, on the machine that has it: Citus runs the call there, as one statement whose
-- commit is the message's. Returns whether the version still was the one seen, and the conversation open.
CREATE OR REPLACE FUNCTION journal_append(of_conversation BIGINT, seen BIGINT, next BIGINT, at_ms BIGINT, wait_ms BIGINT,
    of_kind BIGINT, seqs BIGINT[], senders BIGINT[], ids TEXT[], mime_types TEXT[], bodies BYTEA[], replies BIGINT[],
    corrected BIGINT[], extras BYTEA[], checksums BIGINT[], media BIGINT[], media_seqs BIGINT[]) RETURNS BOOLEAN
-- Behind a generic plan Citus 13.2 makes the local plan of a shard anew for each call, and keeps all of them: 35 KB a statement.
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    -- Settings of the coordinator's session do not reach this machine.
    PERFORM set_config('lock_timeout', wait_ms::TEXT, true);
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    UPDATE conversation SET last_seq = next, claimed_seq = next, updated_ms = at_ms
        WHERE id = of_conversation AND last_seq = seen AND open;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Row by row: INSERT … SELECT goes by COPY, whose errors have no SQLSTATE.
    FOR i IN 1 .. cardinality(seqs) LOOP
        INSERT INTO entry (conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body,
                reply_to_seq, corrects_seq, extra, recalled, checksum)
            VALUES (of_conversation, seqs[i], senders[i], of_kind, at_ms, ids[i], mime_types[i], bodies[i],
                replies[i], corrected[i], extras[i], false, checksums[i]);
        INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
            VALUES (of_conversation, senders[i], ids[i], seqs[i]);
        IF corrected[i] > 0 THEN
            INSERT INTO correction (conversation_id, seq, by_seq)
                VALUES (of_conversation, corrected[i], seqs[i]) ON CONFLICT DO NOTHING;
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(media) LOOP
        INSERT INTO media_entry (media_id, conversation_id, seq)
            VALUES (media[i], of_conversation, media_seqs[i]) ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN true;
END $$;
