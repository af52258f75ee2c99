//! Faults, one of each kind.

/// A statement that plants a fault, and the row that must be named. `{kind cause}` stands for the id of a transfer.
pub const PLANTS: &[(&str, &str)] = &[
    // The postings of a transfer.
    (
        "UPDATE posting SET amount_fen = amount_fen + 1 WHERE account = 'platform' AND transfer_id = {vas vas:1}",
        "transfer:{vas vas:1}",
    ),
    (
        "UPDATE posting SET amount_fen = 0 WHERE account = 'platform' AND transfer_id = {vas vas:1}",
        "transfer:{vas vas:1}",
    ),
    (
        "UPDATE posting SET line = 7 WHERE line = 0 AND transfer_id = {vas vas:1}",
        "transfer:{vas vas:1}",
    ),
    (
        "UPDATE posting SET account = 'cash:1' WHERE account = 'platform' AND transfer_id = {vas vas:1}",
        "transfer:{vas vas:1}",
    ),
    (
        "UPDATE posting SET month = 202601 WHERE account = 'platform' AND transfer_id = {vas vas:1}",
        "transfer:{vas vas:1}",
    ),
    (
        "UPDATE posting SET account = 'outside:bank' WHERE account = 'platform' AND transfer_id = {vas vas:1}",
        "transfer:{vas vas:1}",
    ),
    (
        "DELETE FROM posting WHERE transfer_id = {top_up order:1}",
        "transfer:{top_up order:1}",
    ),
    (
        "INSERT INTO posting (transfer_id, line, account, amount_fen, month) VALUES (99999, 0, 'platform', 1, 202611)",
        "posting:99999:0",
    ),
    (
        "INSERT INTO posting (transfer_id, line, account, amount_fen, month) VALUES (0, 0, 'platform', 1, 202611)",
        "posting:0:0",
    ),
    (
        "DELETE FROM transfer WHERE kind = 'vas' AND cause = 'vas:2'",
        "vas:2",
    ),
    // A transfer by itself and its cause.
    (
        "UPDATE transfer SET month = 202601 WHERE cause = 'vas:1'",
        "transfer:{vas vas:1}",
    ),
    (
        "UPDATE transfer SET earned_month = 202601 WHERE cause = 'refund:1'",
        "transfer:{refund refund:1}",
    ),
    (
        "UPDATE transfer SET earned_month = NULL WHERE cause = 'vas:1'",
        "transfer:{vas vas:1}",
    ),
    (
        "UPDATE transfer SET kind = 'gift' WHERE cause = 'credit:1'",
        "transfer:{gift credit:1}",
    ),
    (
        "UPDATE transfer SET cause = 'vas:99' WHERE cause = 'vas:1'",
        "transfer:{vas vas:99}",
    ),
    (
        "UPDATE transfer SET cause = 'vas:01' WHERE cause = 'vas:1'",
        "transfer:{vas vas:01}",
    ),
    (
        "UPDATE transfer SET reverses = 1 WHERE kind = 'reversal'",
        "transfer:{reversal 1}",
    ),
    (
        "UPDATE transfer SET cause = 'membership:4:12:2' WHERE kind = 'join'",
        "transfer:{join membership:4:12:2}",
    ),
    // Accounts and their chains.
    (
        "UPDATE ledger_account SET balance_fen = balance_fen + 1 WHERE account = 'wallet:12'",
        "wallet:12",
    ),
    (
        "UPDATE ledger_account SET postings = postings + 1 WHERE account = 'income:4'",
        "income:4",
    ),
    (
        "UPDATE ledger_account SET part_id = 5 WHERE account = 'held:7'",
        "held:7",
    ),
    (
        "UPDATE ledger_account SET consumed_fen = consumed_fen + 1 WHERE account = 'wallet:12'",
        "wallet:12",
    ),
    ("DELETE FROM ledger_account WHERE account = 'held:7'", "held:7"),
    (
        "DELETE FROM ledger_account WHERE account = 'wallet:12'",
        "wallet:12",
    ),
    (
        "UPDATE posting SET balance_after_fen = balance_after_fen + 1 WHERE account = 'wallet:12' AND place = 3",
        "wallet:12",
    ),
    (
        "UPDATE posting SET place = 500 WHERE account = 'wallet:12' AND place = 3",
        "wallet:12",
    ),
    (
        "UPDATE posting SET balance_after_fen = NULL WHERE account = 'payout:4' AND place = 1",
        "payout:4",
    ),
    // Months.
    (
        "UPDATE income_month SET earned_fen = earned_fen + 1 WHERE month = 202611",
        "income_month:4:202611",
    ),
    (
        "UPDATE income_month SET posted_fen = posted_fen + 1 WHERE month = 202612",
        "income_month:4:202612",
    ),
    (
        "DELETE FROM income_month WHERE month = 202611",
        "income_month:4:202611",
    ),
    (
        "INSERT INTO income_month (team_id, month, posted_fen, earned_fen) VALUES (5, 202611, 1, 1)",
        "income_month:5:202611",
    ),
    // Causes.
    (
        "UPDATE payment_order SET amount_fen = 1",
        "transfer:{top_up order:1}",
    ),
    (
        "UPDATE payment_order SET user_id = 13",
        "transfer:{top_up order:1}",
    ),
    (
        "UPDATE payment_order SET provider = 'alipay'",
        "transfer:{top_up order:1}",
    ),
    (
        "UPDATE payment_order SET state = 'open'",
        "transfer:{top_up order:1}",
    ),
    (
        "INSERT INTO payment_order (id, user_id, provider, scene, amount_fen, state, refunded_fen, created_ms, asked) VALUES (2, 12, 'mockpay', 'app', 5, 'paid', 0, 0, 0)",
        "order:2",
    ),
    (
        "UPDATE payment_refund SET state = 'asked'",
        "transfer:{pay_back_failed pay_back:1}",
    ),
    (
        "INSERT INTO payment_refund (id, user_id, order_id, provider, amount_fen, state, created_ms, asked) VALUES (2, 12, 1, 'mockpay', 5, 'done', 0, 0)",
        "pay_back:2",
    ),
    (
        "UPDATE credit SET state = 'refused'",
        "transfer:{credit credit:1}",
    ),
    (
        "INSERT INTO credit (id, user_id, amount_fen, reason, state, asked_by, asked_ms) VALUES (2, 12, 5, '', 'approved', 1, 0)",
        "credit:2",
    ),
    (
        "UPDATE withdrawal SET amount_fen = 99 WHERE id = 1",
        "transfer:{paid withdrawal:1}",
    ),
    (
        "UPDATE withdrawal SET state = 'paid' WHERE id = 2",
        "withdrawal:2",
    ),
    (
        "UPDATE withdrawal SET state = 'asked' WHERE id = 1",
        "transfer:{paid withdrawal:1}",
    ),
    (
        "UPDATE consult_charge SET state = 'returned' WHERE consult_id = 7",
        "consult:7",
    ),
    (
        "UPDATE consult_charge SET fee_fen = fee_fen + 1 WHERE consult_id = 7",
        "consult:7",
    ),
    (
        "UPDATE consult_charge SET commission_fen = 49 WHERE consult_id = 7",
        "consult:7",
    ),
    (
        "UPDATE consult_charge SET refunded_fen = 49 WHERE consult_id = 7",
        "consult:7",
    ),
    (
        "UPDATE consult_charge SET month = 202612 WHERE consult_id = 7",
        "transfer:{finish consult:7}",
    ),
    ("UPDATE consult SET status = 'finished' WHERE id = 9", "consult:9"),
    (
        "UPDATE consult SET status = 'in_process' WHERE id = 7",
        "consult:7",
    ),
    (
        "DELETE FROM consult_charge WHERE consult_id = 7",
        "transfer:{finish consult:7}",
    ),
    (
        "UPDATE vas SET price_fen = 1001 WHERE id = 1",
        "transfer:{vas vas:1}",
    ),
    ("UPDATE vas SET commission_fen = 99 WHERE id = 1", "vas:1"),
    ("UPDATE vas SET refunded_fen = 399 WHERE id = 1", "vas:1"),
    (
        "UPDATE vas SET state = 'declined' WHERE id = 1",
        "transfer:{vas vas:1}",
    ),
    (
        "UPDATE refund SET amount_fen = 399 WHERE id = 1",
        "transfer:{refund refund:1}",
    ),
    (
        "UPDATE refund SET commission_fen = 39 WHERE id = 1",
        "transfer:{refund refund:1}",
    ),
    ("DELETE FROM refund WHERE id = 1", "transfer:{refund refund:1}"),
    ("DELETE FROM membership", "transfer:{join membership:4:12:1}"),
    // Entries.
    ("DELETE FROM entry WHERE conversation_id = 1 AND seq = 1", "vas:1"),
    (
        "DELETE FROM entry WHERE conversation_id = 1 AND seq = 2",
        "refund:1",
    ),
    ("DELETE FROM entry WHERE conversation_id = 7", "refund:2"),
    (
        "UPDATE entry SET extra = NULL WHERE conversation_id = 1 AND seq = 1",
        "entry:1:1",
    ),
    (
        "UPDATE entry SET extra = NULL WHERE conversation_id = 7",
        "entry:7:1",
    ),
    (
        "UPDATE entry SET conversation_id = 2, seq = 12 WHERE conversation_id = 1 AND seq = 1",
        "entry:2:12",
    ),
    // A refund that nobody made, in a consult without one; and the same one twice.
    (
        "UPDATE entry SET conversation_id = 8, seq = 1 WHERE conversation_id = 7",
        "entry:8:1",
    ),
    (
        "UPDATE entry SET extra = (SELECT e.extra FROM entry e WHERE e.conversation_id = 1 AND e.seq = 2)
         WHERE conversation_id = 1 AND seq = 1",
        "entry:1:2",
    ),
    // It says another amount than was moved.
    ("UPDATE refund SET amount_fen = 51 WHERE id = 2", "entry:7:1"),
    ("DELETE FROM refund WHERE id = 2", "entry:7:1"),
];
