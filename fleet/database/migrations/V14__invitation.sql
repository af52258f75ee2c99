-- Invitations of single doctors into a team or a clinic. They are kept by phone, and nobody looks whether it has an account:
-- the doctor who proves to have that phone, now or later, finds them.
CREATE TABLE doctor_invitation (
    phone TEXT NOT NULL,
    id BIGINT NOT NULL,
    -- team, clinic
    place TEXT NOT NULL,
    place_id BIGINT NOT NULL,
    inviter_id BIGINT NOT NULL,
    -- the doctor whom the inviter named, who may not see the phone; 0 when the inviter named the phone
    doctor_id BIGINT NOT NULL,
    -- invited, declined; accepting removes the row
    state TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (phone, id)
);
CREATE INDEX doctor_invitation_by_time ON doctor_invitation (phone, created_ms, id);
CREATE UNIQUE INDEX doctor_invitation_place_key ON doctor_invitation (place, place_id, phone, doctor_id);
CREATE INDEX doctor_invitation_by_place ON doctor_invitation (place, place_id, created_ms, id);

-- Invitations of doctors into a clinic; the signed link names one.
CREATE TABLE clinic_invitation (
    clinic_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    inviter_id BIGINT NOT NULL,
    -- doctors who may join by it, and who did
    max_uses BIGINT NOT NULL,
    used BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (clinic_id, id)
);

-- What the lists of one's own teams and clinics walk.
CREATE INDEX team_doctor_by_doctor_and_time ON team_doctor (doctor_id, joined_ms, team_id);
CREATE INDEX clinic_doctor_by_doctor_and_time ON clinic_doctor (doctor_id, joined_ms, clinic_id);
