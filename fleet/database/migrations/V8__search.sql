-- Pieces of every length of each team's name, so that whatever part is searched is one walk of an index; until now they
-- had up to 4 characters.
INSERT INTO team_gram (gram, created_ms, team_id)
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 64)
    SELECT DISTINCT substr(t.search_name, place.n, size.n), t.created_ms, t.id
    FROM team t, number place, number size
    WHERE size.n > 4 AND place.n + size.n - 1 <= length(t.search_name);

-- A push token is on one device, whatever logins race. Where two have it, the one that was used last keeps it.
UPDATE device SET push_provider = NULL, push_token = NULL
    WHERE push_token IS NOT NULL AND EXISTS (
        SELECT 1 FROM device other
        WHERE other.push_token = device.push_token AND other.push_provider = device.push_provider
          AND (other.last_used_ms, other.user_id, other.device_id)
            > (device.last_used_ms, device.user_id, device.device_id));
CREATE UNIQUE INDEX device_push_token_key ON device (push_token, push_provider);
DROP INDEX device_by_push_token;
