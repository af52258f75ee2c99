use super::{Rule::*, *};

/// Holds statements against the rules that they break; none of a good one.
#[track_caller]
fn hold(expected: &[(&str, &[Rule])]) {
    for (sql, rules) in expected {
        let refusals = refusals(sql, &[]);
        let broken: Vec<Rule> = refusals.iter().map(|refusal| refusal.rule).collect();
        assert_eq!(broken, *rules, "{sql}: {refusals:?}");
    }
}

#[test]
fn a_statement_that_names_no_conversation_is_found() {
    hold(&[
        ("SELECT open FROM conversation WHERE id = $1", &[]),
        ("SELECT open FROM conversation WHERE $1 = id AND open", &[]),
        ("SELECT open FROM conversation WHERE id = CAST($1 AS BIGINT)", &[]),
        ("SELECT open FROM conversation WHERE id = ANY($1::BIGINT[])", &[]),
        ("SELECT open FROM conversation WHERE id IN ($1, $2)", &[]),
        ("SELECT open FROM conversation WHERE last_seq = $1", &[AsksAll]),
        ("SELECT open FROM conversation WHERE id > $1", &[AsksAll]),
        ("SELECT open FROM conversation WHERE id + 0 = $1", &[AsksAll]),
        ("SELECT open FROM conversation WHERE id <> ANY($1)", &[AsksAll]),
        ("SELECT open FROM conversation WHERE id NOT IN ($1)", &[AsksAll]),
        ("SELECT open FROM conversation WHERE id = last_seq", &[AsksAll]),
        ("SELECT open FROM conversation", &[AsksAll]),
        ("TABLE conversation", &[Unreadable]),
        ("UPDATE entry SET recalled = $2 WHERE kind = $1", &[AsksAll]),
        ("UPDATE entry SET recalled = $2 WHERE conversation_id = $1", &[]),
        (
            "UPDATE entry SET recalled = $2 WHERE conversation_id = ANY($1)",
            &[],
        ),
        ("DELETE FROM correction WHERE conversation_id = $1", &[]),
        ("DELETE FROM correction WHERE seq = $1", &[AsksAll]),
        ("SELECT 1 FROM account WHERE id = $1", &[]),
        ("BEGIN", &[]),
    ]);
}

#[test]
fn an_equality_below_or_and_not_names_nothing() {
    hold(&[
        ("SELECT 1 FROM conversation WHERE id = $1 OR open", &[AsksAll]),
        (
            "SELECT 1 FROM conversation WHERE (id = $1 OR id = $2) AND open",
            &[AsksAll],
        ),
        ("SELECT 1 FROM conversation WHERE NOT id = $1", &[AsksAll]),
        (
            "SELECT 1 FROM conversation WHERE (open OR kind = 1) AND (id = $1)",
            &[],
        ),
        ("SELECT 1 FROM conversation WHERE (id = $1) = open", &[AsksAll]),
        (
            "SELECT 1 FROM conversation WHERE CASE WHEN open THEN id = $1 END",
            &[AsksAll],
        ),
    ]);
}

#[test]
fn a_join_carries_one_value_but_no_list() {
    let joined = "SELECT c.open FROM participant p JOIN conversation c ON c.id = p.conversation_id WHERE ";
    for (condition, expected) in [
        ("p.conversation_id = $1", &[][..]),
        ("c.id = $1", &[]),
        ("p.user_id = $1", &[AsksAll]),
        ("p.conversation_id = ANY($1)", &[AsksAll]),
        ("p.conversation_id = ANY($1) AND c.id = ANY($1)", &[]),
        ("p.conversation_id = $1 AND c.id = ANY($1)", &[]),
    ] {
        hold(&[(&format!("{joined}{condition}"), expected)]);
    }
    hold(&[
        (
            "SELECT 1 FROM participant p, conversation c WHERE c.id = p.conversation_id AND c.id = $1",
            &[],
        ),
        ("SELECT 1 FROM participant p, conversation c WHERE c.id = $1", &[AsksAll]),
        (
            "SELECT 1 FROM participant p CROSS JOIN conversation c WHERE c.id = $1 AND p.conversation_id = c.id",
            &[],
        ),
        // One without a relation's name may be the other's.
        ("SELECT 1 FROM participant p, conversation c WHERE id = $1", &[AsksAll]),
        (
            "SELECT 1 FROM participant p, conversation c, entry e
             WHERE c.id = p.conversation_id AND p.conversation_id = e.conversation_id AND e.conversation_id = $1",
            &[],
        ),
        (
            "SELECT 1 FROM UNNEST($1::BIGINT[]) AS wanted (id) JOIN sent s ON s.conversation_id = wanted.id",
            &[AsksAll],
        ),
        (
            "SELECT 1 FROM UNNEST($1::BIGINT[]) AS wanted (id) JOIN sent s ON s.conversation_id = wanted.id
             WHERE s.conversation_id = ANY($1)",
            &[],
        ),
    ]);
}

#[test]
fn an_outer_join_carries_a_value_to_its_optional_side_alone() {
    hold(&[
        (
            "SELECT 1 FROM conversation c LEFT JOIN mark m ON m.conversation_id = c.id WHERE c.id = $1",
            &[],
        ),
        (
            "SELECT 1 FROM conversation c LEFT JOIN mark m ON m.conversation_id = c.id WHERE c.id IN ($1, $2)",
            &[],
        ),
        (
            "SELECT 1 FROM conversation c LEFT JOIN mark m ON m.conversation_id = c.id AND c.id = $1",
            &[AsksAll],
        ),
        (
            "SELECT 1 FROM conversation c LEFT JOIN mark m ON m.conversation_id = $1",
            &[AsksAll],
        ),
        (
            "SELECT 1 FROM conversation c LEFT JOIN mark m ON m.conversation_id = c.id AND m.conversation_id = $1",
            &[AsksAll],
        ),
        (
            "SELECT 1 FROM UNNEST($1::BIGINT[]) AS w (id) LEFT JOIN mark m ON m.conversation_id = w.id WHERE w.id = ANY($1)",
            &[AsksAll],
        ),
        (
            "SELECT 1 FROM conversation c FULL JOIN mark m ON m.conversation_id = c.id AND c.id = $1 AND c.id = $1",
            &[AsksAll],
        ),
    ]);
}

#[test]
fn a_name_is_the_one_that_the_statement_gives() {
    hold(&[
        (
            "SELECT 1 FROM account AS conversation WHERE conversation.id = $1",
            &[],
        ),
        ("SELECT 1 FROM conversation AS account WHERE account.id = $1", &[]),
        (
            "SELECT 1 FROM conversation AS c WHERE conversation.id = $1",
            &[AsksAll],
        ),
        ("SELECT 1 FROM public.conversation c WHERE c.id = $1", &[]),
        ("SELECT 1 FROM CONVERSATION C WHERE c.ID = $1", &[]),
        ("WITH entry AS (SELECT 1 AS seq) SELECT seq FROM entry", &[]),
        ("WITH e AS (SELECT seq FROM entry) SELECT seq FROM e", &[AsksAll]),
        (
            "WITH e AS (SELECT seq FROM entry WHERE conversation_id = $1) SELECT seq FROM e",
            &[],
        ),
        (
            "SELECT e.seq FROM (SELECT * FROM entry) AS e WHERE e.conversation_id = $1",
            &[AsksAll],
        ),
        (
            "SELECT e.seq FROM (SELECT * FROM entry WHERE conversation_id = $1) AS e",
            &[],
        ),
        (
            "SELECT entry.seq FROM mark entry, entry e WHERE entry.conversation_id = $1",
            &[AsksAll],
        ),
        ("SELECT 1 FROM entry('x') WHERE id = 1", &[]),
    ]);
}

#[test]
fn a_subquery_names_its_own_conversation() {
    hold(&[
        (
            "SELECT (SELECT max(seq) FROM entry WHERE conversation_id = $1) FROM conversation c WHERE c.id = $1",
            &[],
        ),
        (
            "SELECT (SELECT max(e.seq) FROM entry e WHERE e.conversation_id = c.id) FROM conversation c WHERE c.id = $1",
            &[AsksAll],
        ),
        (
            "SELECT 1 FROM conversation c WHERE c.id = $1 AND EXISTS (SELECT 1 FROM entry WHERE seq = $2)",
            &[AsksAll],
        ),
        (
            "SELECT 1 FROM conversation c WHERE c.id = (SELECT conversation_id FROM entry WHERE conversation_id = $1)",
            &[AsksAll],
        ),
        (
            "SELECT updated_ms FROM conversation WHERE id = (SELECT max(id) FROM conversation)",
            &[AsksAll],
        ),
        (
            "SELECT 1 FROM entry WHERE conversation_id = $1 ORDER BY (SELECT 1 FROM entry)",
            &[AsksAll],
        ),
        (
            "SELECT 1 FROM entry WHERE conversation_id = $1 UNION ALL SELECT 1 FROM entry",
            &[AsksAll],
        ),
        (
            "SELECT (SELECT 1 FROM entry WHERE conversation_id = ANY($1)) FROM conversation WHERE id = ANY($1)",
            &[OneOnly],
        ),
        (
            "SELECT (SELECT 1 FROM entry WHERE conversation_id = $2) FROM conversation WHERE id = $1",
            &[Strangers],
        ),
    ]);
}

#[test]
fn tables_of_both_places_never_meet() {
    hold(&[
        (
            "SELECT 1 FROM conversation c JOIN account a ON a.id = c.id WHERE c.id = $1",
            &[BothPlaces],
        ),
        (
            "SELECT 1 FROM account WHERE id IN (SELECT user_id FROM participant WHERE conversation_id = $1)",
            &[BothPlaces],
        ),
        (
            "UPDATE conversation SET open = false WHERE id = $1 AND EXISTS (SELECT 1 FROM consult)",
            &[BothPlaces],
        ),
        (
            "INSERT INTO user_conversation (user_id, conversation_id)
             SELECT user_id, conversation_id FROM participant WHERE conversation_id = $1",
            &[BothPlaces],
        ),
        ("SELECT 1 FROM account a JOIN device d ON d.user_id = a.id", &[]),
    ]);
}

#[test]
fn an_insert_gives_the_conversation_a_value_and_reads_nothing() {
    hold(&[
        ("INSERT INTO mark (conversation_id, user_id) VALUES ($1, $2)", &[]),
        ("INSERT INTO mark (user_id, conversation_id) VALUES ($1, $2)", &[]),
        (
            "INSERT INTO mark (conversation_id, user_id) VALUES ($1, $2), ($3, $4)",
            &[],
        ),
        ("INSERT INTO mark (user_id) VALUES ($1)", &[InsertsNowhere]),
        ("INSERT INTO mark VALUES ($1, $2)", &[InsertsNowhere]),
        (
            "INSERT INTO mark (conversation_id, user_id) VALUES ($1 + 1, $2)",
            &[InsertsNowhere],
        ),
        (
            "INSERT INTO mark (conversation_id, user_id) VALUES (NULL, $2)",
            &[InsertsNowhere],
        ),
        ("INSERT INTO mark DEFAULT VALUES", &[InsertsNowhere]),
        (
            "INSERT INTO mark (conversation_id, user_id) VALUES ($1, (SELECT 1))",
            &[ReadsWithinInsert],
        ),
        (
            "INSERT INTO account (id, name) VALUES ($1, (SELECT name FROM device WHERE id = $2))",
            &[ReadsWithinInsert],
        ),
        (
            "INSERT INTO account (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = (SELECT 1)",
            &[ReadsWithinInsert],
        ),
        (
            "INSERT INTO account (id) SELECT id FROM device WHERE id = $1",
            &[],
        ),
    ]);
}

#[test]
fn rows_that_are_read_for_an_insert_stay_on_their_machine_or_are_copied() {
    hold(&[
        (
            "INSERT INTO sent (conversation_id, seq) SELECT new.id, new.seq
             FROM UNNEST($1::BIGINT[], $2::BIGINT[]) AS new (id, seq)",
            &[Copies],
        ),
        ("INSERT INTO sent (conversation_id, seq) SELECT $1, $2", &[Copies]),
        (
            "INSERT INTO sent (conversation_id, seq) SELECT e.conversation_id, e.seq FROM entry e WHERE e.conversation_id = $1",
            &[],
        ),
        (
            "INSERT INTO sent (conversation_id, seq) SELECT v.of, v.seq
             FROM (SELECT conversation_id AS of, seq FROM entry WHERE conversation_id = $1) AS v",
            &[],
        ),
        (
            "INSERT INTO sent (conversation_id, seq) SELECT e.seq, e.seq FROM entry e WHERE e.conversation_id = $1",
            &[Copies],
        ),
        (
            "INSERT INTO sent (conversation_id, seq) SELECT e.conversation_id, e.seq FROM entry e",
            &[Copies, AsksAll],
        ),
    ]);
}

#[test]
fn what_names_a_row_never_changes() {
    hold(&[
        ("UPDATE conversation SET id = $2 WHERE id = $1", &[MovesRows]),
        (
            "UPDATE mark SET (user_id, conversation_id) = ($2, $3) WHERE conversation_id = $1",
            &[MovesRows],
        ),
        ("UPDATE account SET id = $2 WHERE id = $1", &[]),
        (
            "INSERT INTO mark (conversation_id) VALUES ($1) ON CONFLICT (conversation_id) DO UPDATE SET conversation_id = 1",
            &[MovesRows],
        ),
    ]);
}

#[test]
fn locks_recursion_and_writes_within_take_one_conversation() {
    hold(&[
        ("SELECT 1 FROM conversation WHERE id = $1 FOR UPDATE", &[]),
        ("SELECT 1 FROM conversation WHERE id = $1 FOR NO KEY UPDATE", &[]),
        ("SELECT 1 FROM conversation WHERE id = ANY($1) FOR UPDATE", &[OneOnly]),
        ("SELECT 1 FROM conversation WHERE id IN ($1, $2) FOR SHARE", &[OneOnly]),
        ("SELECT 1 FROM media WHERE id = ANY($1) FOR UPDATE", &[]),
        (
            "WITH RECURSIVE c (at) AS (SELECT seq FROM entry WHERE conversation_id = $1
               UNION ALL SELECT e.seq FROM c JOIN entry e ON e.seq = c.at - 1 WHERE e.conversation_id = $1) SELECT 1 FROM c",
            &[],
        ),
        (
            "WITH RECURSIVE c (at) AS (SELECT seq FROM entry WHERE conversation_id = $1
               UNION ALL SELECT e.seq FROM c JOIN entry e ON e.seq = c.at - 1) SELECT 1 FROM c",
            &[AsksAll, OneOnly],
        ),
        (
            "WITH won AS (UPDATE conversation SET last_seq = $2 WHERE id = $1 RETURNING id) SELECT id FROM won",
            &[],
        ),
        (
            "WITH won AS (UPDATE conversation SET last_seq = $2 WHERE id = ANY($1) RETURNING id) SELECT id FROM won",
            &[OneOnly],
        ),
        (
            "WITH new AS (INSERT INTO mark (conversation_id) VALUES ($1) RETURNING user_id) SELECT user_id FROM new",
            &[ReadsWithinInsert],
        ),
        (
            "UPDATE conversation c SET last_seq = w.next FROM UNNEST($1::BIGINT[], $2::BIGINT[]) AS w (id, next)
             WHERE c.id = w.id AND c.id = ANY($1)",
            &[OneOnly],
        ),
    ]);
}

#[test]
fn a_function_has_one_result_for_all_machines() {
    hold(&[
        ("UPDATE account SET id = nextval('x') WHERE id = $1", &[Mutable]),
        ("UPDATE account SET name = COALESCE($2, name) WHERE id = $1", &[]),
        (
            "INSERT INTO mark (conversation_id) VALUES ($1)
             ON CONFLICT (conversation_id) DO UPDATE SET read_seq = pg_current_xact_id()",
            &[Mutable],
        ),
        (
            "DELETE FROM mark WHERE conversation_id = $1 RETURNING now()",
            &[Mutable],
        ),
    ]);
}

#[test]
fn text_that_cannot_be_parsed_is_refused_where_it_may_be_of_conversations() {
    hold(&[
        ("SELECT FROM WHERE conversation", &[Unreadable]),
        ("SELECT FROM WHERE account", &[]),
        (
            "SELECT 1 FROM conversation WHERE id = $1; SELECT 1 FROM entry",
            &[AsksAll],
        ),
    ]);
}

#[test]
fn a_parameter_of_a_function_is_a_value() {
    let sql = "UPDATE conversation SET last_seq = next WHERE id = of_conversation AND last_seq = seen";
    assert_eq!(refusals(sql, &["of_conversation"]), []);
    assert_eq!(refusals(sql, &["seen"])[0].rule, AsksAll);
    let sql = "INSERT INTO entry (conversation_id, seq) VALUES (of_conversation, seqs[i])";
    assert_eq!(refusals(sql, &["of_conversation"]), []);
    assert_eq!(refusals(sql, &[])[0].rule, InsertsNowhere);
}
