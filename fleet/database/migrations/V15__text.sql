-- A clinic's name as names are compared: two that look alike are equal. An api-server folds what has another name than it
-- was folded from; a clinic whose name looked like another one's before this step has a form that no name folds to.
ALTER TABLE clinic ADD COLUMN folded_name TEXT;
ALTER TABLE clinic ADD COLUMN folded_from TEXT;
CREATE UNIQUE INDEX clinic_folded_name_key ON clinic (folded_name);
CREATE INDEX clinic_unfolded ON clinic (id) WHERE folded_from IS DISTINCT FROM name;

-- The name that a team's search_name and pieces are folded from.
ALTER TABLE team ADD COLUMN folded_from TEXT;
CREATE INDEX team_unfolded ON team (id) WHERE folded_from IS DISTINCT FROM name;

-- SHA-256 of request_hash and of what the request means, however it is written; NULL where an earlier release wrote.
ALTER TABLE idempotency ADD COLUMN meaning_hash BYTEA;
