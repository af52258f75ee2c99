-- A clinic's day: who sees what, doctors who are verified, the team's desk and clock, media, accounts, operators.
-- On several database machines a table is distributed by the column that its comment names.

-- == Who sees what ==
-- The first entry that the span shows: 1 for a reader of the whole case; NULL: from_seq, as before this version.
ALTER TABLE participant ADD COLUMN sees_from_seq BIGINT;
-- Name, title and photo of the moment of joining; a record does not change with a rename.
ALTER TABLE participant ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE participant ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE participant ADD COLUMN photo TEXT NOT NULL DEFAULT '';
UPDATE participant SET name = COALESCE((SELECT a.name FROM account a WHERE a.id = participant.user_id), ''),
    title = COALESCE((SELECT d.title FROM doctor_profile d WHERE d.doctor_id = participant.user_id), '');
-- The next deadline of a conversation, for everybody in it: its kind, and when it is due. NULL: none.
ALTER TABLE conversation ADD COLUMN deadline_kind TEXT;
ALTER TABLE conversation ADD COLUMN deadline_ms BIGINT;

-- Conversations that a user has taken off their lists: hidden on each device, until an entry after through_seq comes.
-- Distributed by conversation_id.
CREATE TABLE hidden_conversation (
    conversation_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    through_seq BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX hidden_conversation_by_user ON hidden_conversation (user_id, conversation_id);

-- Messages and those that correct them, written with the correcting entry. Distributed by conversation_id.
CREATE TABLE correction (
    conversation_id BIGINT NOT NULL,
    -- the corrected message
    seq BIGINT NOT NULL,
    by_seq BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, seq, by_seq)
) {without_rowid};

-- == Consults ==
-- Names of the moment the consult began.
ALTER TABLE consult ADD COLUMN creator_name TEXT NOT NULL DEFAULT '';
ALTER TABLE consult ADD COLUMN target_name TEXT NOT NULL DEFAULT '';
ALTER TABLE consult ADD COLUMN team_name TEXT NOT NULL DEFAULT '';
UPDATE consult SET creator_name = COALESCE((SELECT a.name FROM account a WHERE a.id = consult.creator_id), ''),
    target_name = COALESCE((SELECT a.name FROM account a WHERE a.id = consult.target_id), ''),
    team_name = COALESCE((SELECT t.name FROM team t WHERE t.id = consult.team_id), '');
-- What the patient of the consult is to its creator: self, spouse, child …
ALTER TABLE consult ADD COLUMN relation TEXT NOT NULL DEFAULT '';
-- The finished consult that this one asks further questions about, free of charge.
ALTER TABLE consult ADD COLUMN follow_up_of BIGINT;
CREATE INDEX consult_by_follow_up ON consult (follow_up_of, id);
-- When the first doctor came in, and when a doctor wrote first; NULL until then.
ALTER TABLE consult ADD COLUMN accepted_ms BIGINT;
ALTER TABLE consult ADD COLUMN answered_ms BIGINT;
-- The entry of the newest advice; NULL: none.
ALTER TABLE consult ADD COLUMN advice_seq BIGINT;
-- Doctors who are in it now: the desk tells assigned ones from unassigned ones by it.
ALTER TABLE consult ADD COLUMN doctor_count BIGINT NOT NULL DEFAULT 0;
UPDATE consult SET doctor_count = (SELECT COUNT(*) FROM consult_person p
    WHERE p.consult_id = consult.id AND p.role = 'doctor' AND p.shelf <> 'removed');
-- When its pieces were written into consult_gram; NULL: a sweep writes them, and names that an earlier release left empty.
ALTER TABLE consult ADD COLUMN folded_ms BIGINT;
CREATE INDEX consult_unfolded ON consult (id) WHERE folded_ms IS NULL;
-- What the searched texts fold to: a search longer than a piece looks into it.
ALTER TABLE consult ADD COLUMN search_text TEXT NOT NULL DEFAULT '';
-- What the desk walks, by state.
CREATE INDEX consult_unassigned ON consult (team_id, created_ms, id) WHERE doctor_count = 0 AND ended_ms IS NULL;
CREATE INDEX consult_assigned ON consult (team_id, created_ms, id) WHERE doctor_count > 0 AND ended_ms IS NULL;
CREATE INDEX consult_ended ON consult (team_id, created_ms, id) WHERE ended_ms IS NOT NULL;
CREATE INDEX consult_person_running ON consult_person (user_id, team_id, created_ms, consult_id)
    WHERE role = 'doctor' AND shelf = 'in_process';
-- Consults about a relative.
CREATE INDEX consult_by_target ON consult (target_id, created_ms, id) WHERE creator_id <> target_id;
-- Name and title of the moment they were brought in.
ALTER TABLE consult_person ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE consult_person ADD COLUMN title TEXT NOT NULL DEFAULT '';
UPDATE consult_person SET name = COALESCE((SELECT a.name FROM account a WHERE a.id = consult_person.user_id), '');
-- Of a doctor who left (shelf removed): when, and the ids of the doctors who stayed, in order. They see the record as of
-- that moment. Who handed over or did work before they left has served: the consult stays in their lists and numbers.
ALTER TABLE consult_person ADD COLUMN left_ms BIGINT;
ALTER TABLE consult_person ADD COLUMN left_doctors TEXT NOT NULL DEFAULT '';
ALTER TABLE consult_person ADD COLUMN served BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE consult_person SET left_ms = (SELECT max(p.changed_ms) FROM participant p
        WHERE p.conversation_id = consult_person.consult_id AND p.user_id = consult_person.user_id AND p.to_seq IS NOT NULL),
    left_doctors = COALESCE((SELECT string_agg(CAST(o.user_id AS TEXT), ',' ORDER BY o.from_seq) FROM participant o
        WHERE o.conversation_id = consult_person.consult_id AND o.role = 2
          AND o.from_seq <= (SELECT max(g.to_seq) FROM participant g
              WHERE g.conversation_id = consult_person.consult_id AND g.user_id = consult_person.user_id)
          AND COALESCE(o.to_seq, 9223372036854775807) > (SELECT max(g.to_seq) FROM participant g
              WHERE g.conversation_id = consult_person.consult_id AND g.user_id = consult_person.user_id)), '')
    WHERE shelf = 'removed';
ALTER TABLE vas ADD COLUMN doctor_name TEXT NOT NULL DEFAULT '';
ALTER TABLE vas ADD COLUMN member_name TEXT NOT NULL DEFAULT '';
UPDATE vas SET doctor_name = COALESCE((SELECT a.name FROM account a WHERE a.id = vas.doctor_id), ''),
    member_name = COALESCE((SELECT a.name FROM account a WHERE a.id = vas.member_id), '');

-- Relatives with an account of their own who refuse further consults about them by a user. Distributed by target_id.
CREATE TABLE consult_refusal (
    target_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (target_id, user_id)
);

-- Pieces of names and complaint, folded: a desk's search walks those of one piece. Distributed by team_id.
CREATE TABLE consult_gram (
    team_id BIGINT NOT NULL,
    gram TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    consult_id BIGINT NOT NULL,
    PRIMARY KEY (team_id, gram, created_ms, consult_id)
) {without_rowid};

-- Each deadline of a consult. A job does those that are due, once. Distributed by consult_id.
CREATE TABLE consult_deadline (
    consult_id BIGINT NOT NULL,
    -- answer_reminder, first_answer, silence_warning, silence_end
    kind TEXT NOT NULL,
    -- NULL: it was met, lifted or fired
    due_ms BIGINT,
    -- set, fired, met, lifted
    state TEXT NOT NULL,
    changed_ms BIGINT NOT NULL,
    -- messages after this one were written since it was set
    seq BIGINT NOT NULL,
    PRIMARY KEY (consult_id, kind)
);
CREATE INDEX consult_deadline_by_due ON consult_deadline (due_ms, consult_id);

-- The patient's rating after the end. Distributed by consult_id.
CREATE TABLE consult_rating (
    consult_id BIGINT NOT NULL PRIMARY KEY,
    team_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    -- 1 to 5
    stars BIGINT NOT NULL,
    words TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL
);
CREATE INDEX consult_rating_by_team ON consult_rating (team_id, created_ms, consult_id);

-- == Teams and clinics ==
ALTER TABLE team ADD COLUMN clinic_id BIGINT;
CREATE INDEX team_by_clinic ON team (clinic_id, created_ms, id);
-- Whether only members begin consults, and how many each has open at a time.
ALTER TABLE team ADD COLUMN members_only BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE team ADD COLUMN max_open_consults BIGINT NOT NULL DEFAULT 3;
-- Whether its doctors take waiting consults by themselves.
ALTER TABLE team ADD COLUMN claims BOOLEAN NOT NULL DEFAULT FALSE;
-- The clock; NULL: no such deadline.
ALTER TABLE team ADD COLUMN answer_minutes BIGINT;
ALTER TABLE team ADD COLUMN reminder_minutes BIGINT;
ALTER TABLE team ADD COLUMN silence_days BIGINT;
ALTER TABLE team ADD COLUMN silence_warning_days BIGINT;
ALTER TABLE team ADD COLUMN follow_up_days BIGINT;
-- Until a doctor accepted, the patient cancels; afterwards only where this is set.
ALTER TABLE team ADD COLUMN late_cancel BOOLEAN NOT NULL DEFAULT TRUE;
-- Closed by an operator, or dissolved by its owner, which sets both; NULL while it works.
ALTER TABLE team ADD COLUMN dissolved_ms BIGINT;
ALTER TABLE team ADD COLUMN closed_ms BIGINT;
CREATE INDEX team_by_closing ON team (closed_ms, id);
-- Payees up to this one are of former owners: income waits for one of the present owner.
ALTER TABLE team ADD COLUMN payee_after_id BIGINT NOT NULL DEFAULT 0;
-- The link that a doctor joined by, which ends with their removal; NULL: none.
ALTER TABLE team_doctor ADD COLUMN invitation_id BIGINT;
ALTER TABLE clinic_doctor ADD COLUMN invitation_id BIGINT;
ALTER TABLE clinic ADD COLUMN dissolved_ms BIGINT;
ALTER TABLE clinic ADD COLUMN closed_ms BIGINT;
-- First answers by day, for the page of a team. Distributed by team_id.
CREATE TABLE team_answer (
    team_id BIGINT NOT NULL,
    -- year × 10000 + month × 100 + day in Asia/Shanghai
    day BIGINT NOT NULL,
    answers BIGINT NOT NULL,
    waited_ms BIGINT NOT NULL,
    PRIMARY KEY (team_id, day)
);
-- Members and doctors who may not come back. Distributed by place_id.
CREATE TABLE place_block (
    -- team, clinic
    place TEXT NOT NULL,
    place_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    by_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (place, place_id, user_id)
);
CREATE INDEX place_block_by_time ON place_block (place, place_id, created_ms, user_id);
-- A team or a clinic that is handed to another doctor, who has not accepted yet. Distributed by place_id.
CREATE TABLE place_offer (
    place TEXT NOT NULL,
    place_id BIGINT NOT NULL,
    from_id BIGINT NOT NULL,
    to_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (place, place_id)
);
CREATE INDEX place_offer_by_receiver ON place_offer (to_id, created_ms, place_id);

-- == Doctors are verified ==
-- Doctors of releases before this step were trusted: they stay so. Distributed by doctor_id.
CREATE TABLE doctor_verification (
    doctor_id BIGINT NOT NULL PRIMARY KEY,
    -- asked, approved, declined, suspended; no row: none
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    licence_number TEXT NOT NULL,
    hospital TEXT NOT NULL,
    title TEXT NOT NULL,
    practice_years BIGINT NOT NULL,
    -- JSON array of media uris
    pictures TEXT NOT NULL,
    -- of a decline or suspension; else empty
    reason TEXT NOT NULL,
    asked_ms BIGINT NOT NULL,
    decided_ms BIGINT,
    decided_by BIGINT,
    -- NULL until the first approval
    verified_ms BIGINT
);
CREATE INDEX doctor_verification_by_state ON doctor_verification (state, asked_ms, doctor_id);
INSERT INTO doctor_verification (doctor_id, state, name, licence_number, hospital, title, practice_years, pictures, reason,
        asked_ms, decided_ms, decided_by, verified_ms)
    SELECT id, 'approved', name, '', '', '', 0, '[]', '', created_ms, created_ms, NULL, created_ms
    FROM account WHERE role = 'doctor';

-- == Accounts and operators ==
-- When the account was asked to be closed, and when it was; NULL: neither.
ALTER TABLE account ADD COLUMN closing_ms BIGINT;
ALTER TABLE account ADD COLUMN closed_ms BIGINT;
CREATE INDEX account_by_closing ON account (closing_ms, id);
-- The code and the device of a registration whose answer may have been lost: it is answered again while the code would hold.
ALTER TABLE sms_code ADD COLUMN registered_hash BYTEA;
ALTER TABLE sms_code ADD COLUMN registered_device TEXT;
-- A chat that one side blocked or hid.
ALTER TABLE chat ADD COLUMN blocked_ms BIGINT;
CREATE INDEX chat_by_conversation ON chat (conversation_id, user_id);
-- The shared secret of an operator's second factor, and the last step of time that a code was used for.
ALTER TABLE operator ADD COLUMN totp_secret BYTEA;
ALTER TABLE operator ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0;
-- More of what an audit row is about.
ALTER TABLE audit ADD COLUMN team_id BIGINT;
ALTER TABLE audit ADD COLUMN clinic_id BIGINT;

-- == Media ==
-- An upload. Distributed by id.
CREATE TABLE media (
    id BIGINT NOT NULL PRIMARY KEY,
    owner_id BIGINT NOT NULL,
    -- message, symptom, profile, licence
    purpose TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    -- announced by its owner, proved at the finish
    bytes BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    -- as the uploader names the file: text only, never a path
    file_name TEXT NOT NULL,
    -- under which the store has it; random
    store_key TEXT NOT NULL,
    -- asked, finished, gone
    state TEXT NOT NULL,
    -- pixels, after EXIF turned the picture; 0 where there are none
    width BIGINT NOT NULL DEFAULT 0,
    height BIGINT NOT NULL DEFAULT 0,
    duration_ms BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    finished_ms BIGINT,
    -- set in the transaction of the first entry or record that names it; NULL: it goes 24 h after its creation
    used_ms BIGINT,
    -- Of an upload in parts: bytes that the store has
    received BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX media_store_key_key ON media (store_key);
CREATE INDEX media_by_owner ON media (owner_id, created_ms, id);
-- Of unused ones, for their deletion.
CREATE INDEX media_unused ON media (created_ms, id) WHERE used_ms IS NULL;

-- An entry that names a medium, written with the entry. Distributed by conversation_id.
CREATE TABLE media_entry (
    media_id BIGINT NOT NULL,
    conversation_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (media_id, conversation_id, seq)
);
-- A record that names a medium, written with it. Distributed by media_id.
CREATE TABLE media_record (
    media_id BIGINT NOT NULL,
    -- consult, member, doctor, verification, team, clinic
    record TEXT NOT NULL,
    record_id BIGINT NOT NULL,
    PRIMARY KEY (media_id, record, record_id)
);
