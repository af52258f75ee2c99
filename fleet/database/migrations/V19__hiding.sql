-- Conversations that users have taken off their lists. A row with through_seq 0 was put back.
-- The number of its newest change, in the order that Sync compares; 0: before this step.
ALTER TABLE hidden_conversation ADD COLUMN changed_no BIGINT NOT NULL DEFAULT 0;
CREATE INDEX hidden_conversation_by_change ON hidden_conversation (changed_no, conversation_id, user_id);
-- Consults that were hidden from the history alone: their conversations and staff rooms follow.
INSERT INTO hidden_conversation (conversation_id, user_id, through_seq)
    SELECT p.conversation_id, p.user_id, max(COALESCE(p.to_seq, v.last_seq))
    FROM consult_person h
    JOIN consult c ON c.id = h.consult_id
    JOIN participant p ON p.user_id = h.user_id AND p.conversation_id IN (c.id, c.staff_conversation_id)
    JOIN conversation v ON v.id = p.conversation_id
    WHERE h.shelf = 'hidden'
    GROUP BY p.conversation_id, p.user_id
    ON CONFLICT (conversation_id, user_id) DO NOTHING;
