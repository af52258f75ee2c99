-- The doctor who logged a team's assistant in on the device; NULL on the devices of people. The device ends with them.
ALTER TABLE device ADD COLUMN opened_by BIGINT;
UPDATE device SET opened_by = (SELECT t.owner_id FROM team t WHERE t.assistant_id = device.user_id);
CREATE INDEX device_by_opener ON device (opened_by);

-- Devices whose access token has ended while their IM passwords and sessions may live on: written with the end of the
-- token, removed once the backplane has ended the rest.
CREATE TABLE device_ended (
    user_id BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    ended_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id)
);
CREATE INDEX device_ended_by_time ON device_ended (ended_ms);

-- What is left of the budgets for SMS codes and for wrong codes and passwords; all api-servers spend from the same rows.
CREATE TABLE budget (
    -- SHA-256 of what is counted, of whom, and for how long
    budget_key BYTEA NOT NULL PRIMARY KEY,
    spent BIGINT NOT NULL,
    -- when the budget is full again, by the clock of the database
    ends_ms BIGINT NOT NULL
);
CREATE INDEX budget_by_end ON budget (ends_ms);

-- Devices on which an account has logged in, also when they are logged out: strangers cannot lock them out.
CREATE TABLE known_device (
    user_id BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    last_login_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id)
);
CREATE INDEX known_device_by_time ON known_device (user_id, last_login_ms);
INSERT INTO known_device (user_id, device_id, last_login_ms)
    SELECT user_id, device_id, last_used_ms FROM device;
