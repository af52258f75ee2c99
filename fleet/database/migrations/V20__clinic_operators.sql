-- What an operator's search walks: pieces of a user's folded name. The name itself, folded, is looked into by a search that
-- is longer than a piece. An api-server folds what has another name than it was folded from.
ALTER TABLE account ADD COLUMN search_name TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN folded_from TEXT;
CREATE INDEX account_unfolded ON account (id) WHERE folded_from IS DISTINCT FROM name;
-- Distributed by user_id; written with the account.
CREATE TABLE account_gram (
    gram TEXT NOT NULL,
    -- the account's
    created_ms BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    PRIMARY KEY (gram, created_ms, user_id)
) {without_rowid};
CREATE INDEX account_gram_by_user ON account_gram (user_id);

-- What an operator's act tells a user: a decision about a doctor, the closing of a team or clinic of theirs. Written in the
-- act's transaction. Distributed by user_id.
CREATE TABLE user_notice (
    user_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    -- of one sequence, in the order of commits
    id BIGINT NOT NULL,
    -- doctor_approved, doctor_declined, doctor_suspended, doctor_reinstated, team_closed, team_reopened, clinic_closed,
    -- clinic_reopened
    kind TEXT NOT NULL,
    -- the operator's words; empty where there are none for the user
    reason TEXT NOT NULL,
    -- the team or clinic, and its name at that time; NULL for other kinds
    place_id BIGINT,
    place_name TEXT,
    -- NULL: unread
    read_ms BIGINT,
    PRIMARY KEY (user_id, created_ms, id)
);
CREATE INDEX user_notice_unread ON user_notice (user_id, id) WHERE read_ms IS NULL;
