-- A person, or a team's assistant. One person has one id, whatever they are elsewhere.
CREATE TABLE account (
    id BIGINT NOT NULL PRIMARY KEY,
    -- E.164; NULL for a team's assistant
    phone TEXT,
    name TEXT NOT NULL,
    -- member, doctor, assistant
    role TEXT NOT NULL,
    -- argon2id in PHC form; NULL while there is none
    password_hash TEXT,
    -- teams that a doctor created or joined: counted here, so that requests that race are counted too
    team_count BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    last_login_ms BIGINT NOT NULL,
    CONSTRAINT account_team_count_check CHECK (team_count >= 0 AND team_count <= 5)
);
CREATE UNIQUE INDEX account_phone_key ON account (phone);

-- A device that somebody is logged in on, with its one access token.
CREATE TABLE device (
    user_id BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    -- ios, android, harmony, web, mini_program, desktop
    platform TEXT NOT NULL,
    -- SHA-256 of the access token
    token_hash BYTEA NOT NULL,
    token_expires_ms BIGINT NOT NULL,
    push_provider TEXT,
    push_token TEXT,
    created_ms BIGINT NOT NULL,
    last_used_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id)
);
CREATE UNIQUE INDEX device_token_hash_key ON device (token_hash);
-- A push token that moves to another account leaves the one that had it.
CREATE INDEX device_by_push_token ON device (push_token);

-- The SMS code that a phone was sent last.
CREATE TABLE sms_code (
    phone TEXT NOT NULL PRIMARY KEY,
    salt BYTEA NOT NULL,
    -- SHA-256 of salt, phone and code
    code_hash BYTEA NOT NULL,
    -- wrong tries so far
    tries BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX sms_code_by_time ON sms_code (created_ms);

-- The first answer to each Idempotency-Key, written in the transaction of its effect and kept 7 days.
CREATE TABLE idempotency (
    user_id BIGINT NOT NULL,
    -- method and path template
    route TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    -- SHA-256 of path and body
    request_hash BYTEA NOT NULL,
    answer BYTEA NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, route, idempotency_key)
);
CREATE INDEX idempotency_by_time ON idempotency (created_ms);
