-- Changes of participation carry the transaction ids of the coordinator, which runs the transactions that make them. Each
-- change below the horizon is visible on its machine. The coordinator's oldest running transaction is not enough: the second
-- phase of a commit follows the end of its transaction. Until Citus has seen it done on every machine, a row of
-- pg_dist_transaction stays, whose xmin is that transaction.
CREATE OR REPLACE FUNCTION journal_horizon() RETURNS BIGINT LANGUAGE plpgsql STABLE AS $$
DECLARE
    running BIGINT := CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT);
    beyond BIGINT := CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT);
    unfinished BIGINT;
BEGIN
    IF to_regclass('pg_catalog.pg_dist_transaction') IS NOT NULL THEN
        -- The low 32 bits of an id, extended as in journal::order.
        SELECT min(beyond - ((beyond - CAST(CAST(t.xmin AS TEXT) AS BIGINT)) & 4294967295))
            INTO unfinished FROM pg_catalog.pg_dist_transaction t;
    END IF;
    RETURN least(running, unfinished);
END $$;
