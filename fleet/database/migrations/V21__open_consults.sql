-- The open consults of a member with a team, and those of a doctor: counted before the next one begins. The index before had
-- those of doctors only, so that a member's consults were counted by a walk over all that they ever had with the team.
CREATE INDEX consult_person_open ON consult_person (user_id, team_id, role, created_ms, consult_id)
    WHERE shelf = 'in_process';
DROP INDEX consult_person_running;
