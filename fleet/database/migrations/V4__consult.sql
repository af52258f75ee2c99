-- A consult. Its id is that of its main conversation.
CREATE TABLE consult (
    id BIGINT NOT NULL PRIMARY KEY,
    -- waiting, in_process, finished, cancelled
    status TEXT NOT NULL,
    creator_id BIGINT NOT NULL,
    target_id BIGINT NOT NULL,
    team_id BIGINT NOT NULL,
    assistant_id BIGINT NOT NULL,
    -- the conversation of the staff, which the patient never sees
    staff_conversation_id BIGINT NOT NULL,
    symptom_type TEXT NOT NULL,
    symptom_content TEXT NOT NULL,
    -- a JSON array of uris
    images TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    -- NULL while it is waiting or in process
    ended_ms BIGINT
);

-- Who has a consult, and on which of their lists it stands.
CREATE TABLE consult_person (
    consult_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    -- patient, assistant, doctor
    role TEXT NOT NULL,
    -- in_process; history; hidden from the history by its owner; removed (a doctor who was taken out and sees nothing)
    shelf TEXT NOT NULL,
    -- of the consult, so that a list is one walk of an index
    created_ms BIGINT NOT NULL,
    -- of a doctor: when they were brought in last
    joined_ms BIGINT NOT NULL,
    PRIMARY KEY (consult_id, user_id)
);
CREATE INDEX consult_person_by_shelf ON consult_person (user_id, shelf, created_ms, consult_id);
