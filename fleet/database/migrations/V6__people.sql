-- What a doctor tells of themselves.
CREATE TABLE doctor_profile (
    doctor_id BIGINT NOT NULL PRIMARY KEY,
    -- of an upload; NULL while there is none
    photo_id TEXT,
    title TEXT NOT NULL,
    department TEXT NOT NULL,
    expertise TEXT NOT NULL,
    honours TEXT NOT NULL,
    introduction TEXT NOT NULL,
    updated_ms BIGINT NOT NULL
);

-- What is known of a member, or of somebody's dependant, who is an account without a phone. NULL is unknown.
CREATE TABLE member_profile (
    member_id BIGINT NOT NULL PRIMARY KEY,
    photo_id TEXT,
    -- female, male
    gender TEXT,
    -- YYYY-MM-DD
    birth_date TEXT,
    pregnancies BIGINT,
    births BIGINT,
    menstrual_cycle_days BIGINT,
    menarche_age BIGINT,
    updated_ms BIGINT NOT NULL
);

-- Whom a member may begin consults for.
CREATE TABLE family (
    user_id BIGINT NOT NULL,
    relation_user_id BIGINT NOT NULL,
    -- spouse, child, parent, sibling, grandparent, grandchild, other: what they are to the user
    relation_type TEXT NOT NULL,
    -- dependant: kept by the user; person: somebody with an account of their own, who accepted
    kind TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, relation_user_id)
);
CREATE INDEX family_by_time ON family (user_id, created_ms, relation_user_id);

-- Invitations into a family. They are kept by phone, and nobody looks whether it has an account: whoever proves to have
-- that phone, now or later, finds them.
CREATE TABLE family_invitation (
    phone TEXT NOT NULL,
    id BIGINT NOT NULL,
    inviter_id BIGINT NOT NULL,
    relation_type TEXT NOT NULL,
    -- invited, accepted, declined
    state TEXT NOT NULL,
    -- NULL until it is accepted
    accepted_by BIGINT,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (phone, id)
);
CREATE INDEX family_invitation_by_time ON family_invitation (phone, created_ms, id);
CREATE UNIQUE INDEX family_invitation_inviter_id_phone_key ON family_invitation (inviter_id, phone);
CREATE INDEX family_invitation_by_inviter ON family_invitation (inviter_id, created_ms, id);

-- A clinic. Patients find it by its exact name, so a name is there once.
CREATE TABLE clinic (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    introduction TEXT NOT NULL,
    founder_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX clinic_name_key ON clinic (name);
CREATE INDEX clinic_by_founder ON clinic (founder_id);

-- The doctors of a clinic, its founder among them.
CREATE TABLE clinic_doctor (
    clinic_id BIGINT NOT NULL,
    doctor_id BIGINT NOT NULL,
    -- who added them; of the founder: themselves
    inviter_id BIGINT NOT NULL,
    joined_ms BIGINT NOT NULL,
    supervisor BOOLEAN NOT NULL,
    -- who made them supervisor; NULL while they are none
    supervisor_inviter_id BIGINT,
    PRIMARY KEY (clinic_id, doctor_id)
);
CREATE INDEX clinic_doctor_by_time ON clinic_doctor (clinic_id, joined_ms, doctor_id);
CREATE INDEX clinic_doctor_by_doctor ON clinic_doctor (doctor_id, clinic_id);

ALTER TABLE team ADD COLUMN agreement_version BIGINT NOT NULL DEFAULT 1;
-- The name as it is searched: in small letters.
ALTER TABLE team ADD COLUMN search_name TEXT NOT NULL DEFAULT '';
UPDATE team SET search_name = lower(name);

-- Each text of 会员加入协议 that a team ever had.
CREATE TABLE team_agreement (
    team_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    agreement TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (team_id, version)
);
INSERT INTO team_agreement (team_id, version, agreement, created_ms)
    SELECT id, 1, agreement, created_ms FROM team;

-- Which version a member accepted when; kept also when they leave.
CREATE TABLE team_acceptance (
    team_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    accepted_ms BIGINT NOT NULL,
    PRIMARY KEY (team_id, member_id, version)
);

-- Pieces of 1 to 4 characters of each team's search_name: a search by part of a name walks those of one piece.
CREATE TABLE team_gram (
    gram TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    team_id BIGINT NOT NULL,
    PRIMARY KEY (gram, created_ms, team_id)
) {without_rowid};
CREATE INDEX team_gram_by_team ON team_gram (team_id);
INSERT INTO team_gram (gram, created_ms, team_id)
    WITH RECURSIVE place(at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM place WHERE at < 64),
                   size(characters) AS (SELECT 1 UNION ALL SELECT characters + 1 FROM size WHERE characters < 4)
    SELECT DISTINCT substr(t.search_name, place.at, size.characters), t.created_ms, t.id
    FROM team t, place, size
    WHERE place.at + size.characters - 1 <= length(t.search_name);

-- The members of a team.
CREATE TABLE team_member (
    team_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    -- the version of the agreement that they accepted last
    agreement_version BIGINT NOT NULL,
    joined_ms BIGINT NOT NULL,
    PRIMARY KEY (team_id, member_id)
);
CREATE INDEX team_member_by_time ON team_member (team_id, joined_ms, member_id);
CREATE INDEX team_member_by_member ON team_member (member_id, joined_ms, team_id);

-- By whose invitation a doctor came; NULL for those who were added or made the team.
ALTER TABLE team_doctor ADD COLUMN inviter_id BIGINT;
CREATE INDEX team_doctor_by_time ON team_doctor (team_id, joined_ms, doctor_id);

-- Invitations of doctors into a team; the signed link names one.
CREATE TABLE team_invitation (
    team_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    inviter_id BIGINT NOT NULL,
    -- doctors who may join by it, and who did
    max_uses BIGINT NOT NULL,
    used BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (team_id, id)
);

-- Random secrets, made at the first start; all processes of a fleet have the same.
CREATE TABLE secret (
    name TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL,
    created_ms BIGINT NOT NULL
);

-- What a team's lists of consults walk.
CREATE INDEX consult_by_team ON consult (team_id, status, created_ms, id);
ALTER TABLE consult_person ADD COLUMN team_id BIGINT NOT NULL DEFAULT 0;
UPDATE consult_person SET team_id = (SELECT c.team_id FROM consult c WHERE c.id = consult_person.consult_id);
CREATE INDEX consult_person_by_team ON consult_person (user_id, team_id, created_ms, consult_id);
