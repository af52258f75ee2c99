-- The open consults of a member with a team, and those of a doctor. They are counted before the next one begins. The index
-- before had those of doctors only, and a member's were counted among all that they ever had.
-- It goes first: a consult that is being made has read the table, and waits behind a lock that would have to be raised.
DROP INDEX consult_person_running;
CREATE INDEX consult_person_open ON consult_person (user_id, team_id, role, created_ms, consult_id)
    WHERE shelf = 'in_process';
