-- A value-added service that a doctor proposes in a consult.
CREATE TABLE vas (
    id BIGINT NOT NULL PRIMARY KEY,
    consult_id BIGINT NOT NULL,
    team_id BIGINT NOT NULL,
    doctor_id BIGINT NOT NULL,
    -- the patient of the consult, who decides
    member_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    price_fen BIGINT NOT NULL,
    -- proposed, confirmed, declined, withdrawn; nothing leaves the last three
    state TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    -- NULL while it is proposed
    decided_ms BIGINT,
    CONSTRAINT vas_price_fen_check CHECK (price_fen >= 0)
);
CREATE INDEX vas_by_consult ON vas (consult_id, created_ms, id);
CREATE INDEX vas_by_state ON vas (consult_id, state, id);

-- On whose own lists a value-added service stands: its doctor's and its member's.
CREATE TABLE vas_person (
    vas_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    -- doctor, member
    role TEXT NOT NULL,
    team_id BIGINT NOT NULL,
    -- open while it is proposed; decided; hidden by its owner
    shelf TEXT NOT NULL,
    -- whether it is on the lists: every shelf but hidden, so that a list is one walk of an index
    listed BOOLEAN NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (vas_id, user_id)
);
CREATE INDEX vas_person_by_list ON vas_person (user_id, listed, created_ms, vas_id);
CREATE INDEX vas_person_by_team ON vas_person (user_id, team_id, role, listed, created_ms, vas_id);
CREATE INDEX vas_person_by_shelf ON vas_person (user_id, shelf);

-- When the operator disabled the account, epoch milliseconds; NULL while it is good.
ALTER TABLE account ADD COLUMN disabled_ms BIGINT;

-- Who runs the platform. Their accounts have no phone; they log in by this name.
CREATE TABLE operator (
    user_id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX operator_name_key ON operator (name);

-- What operators did, each row written in the transaction of the act. Rows are never changed or deleted.
CREATE TABLE audit (
    id BIGINT NOT NULL PRIMARY KEY,
    -- NULL: the command line
    operator_id BIGINT,
    act TEXT NOT NULL,
    -- whom and what it was about
    account_id BIGINT,
    consult_id BIGINT,
    reason TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
-- An operator looks at all consults of a person, on whatever list they stand.
CREATE INDEX consult_person_by_time ON consult_person (user_id, created_ms, consult_id);
