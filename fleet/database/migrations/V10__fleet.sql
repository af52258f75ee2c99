-- Which fleet this database is of: a name for what its programs keep in Redis, and a key by which they know what is theirs
-- there. One row, made by the program that starts first.
CREATE TABLE fleet (
    -- always 1
    number BIGINT NOT NULL PRIMARY KEY,
    -- 64 random bits
    id BIGINT NOT NULL,
    -- 32 random bytes
    secret_key BYTEA NOT NULL
);
