-- A team of doctors, and the assistant account that was made with it.
CREATE TABLE team (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    introduction TEXT NOT NULL,
    -- what members agree to when they join
    agreement TEXT NOT NULL,
    membership_fee_fen BIGINT NOT NULL,
    consult_price_fen BIGINT NOT NULL,
    owner_id BIGINT NOT NULL,
    assistant_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX team_assistant_id_key ON team (assistant_id);

-- The doctors of a team, its owner among them.
CREATE TABLE team_doctor (
    team_id BIGINT NOT NULL,
    doctor_id BIGINT NOT NULL,
    joined_ms BIGINT NOT NULL,
    PRIMARY KEY (team_id, doctor_id)
);
CREATE INDEX team_doctor_by_doctor ON team_doctor (doctor_id, team_id);
