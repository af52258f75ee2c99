-- Money, double entry and append-only: docs/money.md. Rows of transfer and posting are never changed or deleted.
-- On several database machines a table is distributed by the column that its comment names.

-- The balance of a guarded account, which is never below zero. Distributed by account.
CREATE TABLE ledger_account (
    -- wallet:USER, fee:TEAM:MEMBER, held:CONSULT, income:TEAM, payout:TEAM
    account TEXT NOT NULL PRIMARY KEY,
    -- the parts of that text, for lists: wallet, fee, held, income, payout
    kind TEXT NOT NULL,
    -- user, team or consult
    owner_id BIGINT NOT NULL,
    -- the member of a fee; else 0
    part_id BIGINT NOT NULL,
    balance_fen BIGINT NOT NULL,
    -- postings so far: the place of the newest
    postings BIGINT NOT NULL,
    -- of a wallet: what its member was charged for consults and services, by the wallet and by fees, less what went back
    consumed_fen BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT ledger_account_balance_fen_check CHECK (balance_fen >= 0 AND balance_fen <= 1000000000000000),
    -- SQLite turns a sum beyond an integer into a real: it is refused before
    CONSTRAINT ledger_account_consumed_fen_check
        CHECK (consumed_fen > -9000000000000000000 AND consumed_fen < 9000000000000000000)
);
CREATE INDEX ledger_account_by_owner ON ledger_account (kind, owner_id, part_id);

-- One movement of money: its postings sum to zero. Distributed by id, as posting is.
CREATE TABLE transfer (
    id BIGINT NOT NULL PRIMARY KEY,
    -- top_up, join, begin, finish, cancel, vas, refund, withdrawal, paid, failed, leave, pay_back, pay_back_failed,
    -- credit, reversal
    kind TEXT NOT NULL,
    -- kind and id of what caused it: order:5, consult:77, membership:TEAM:MEMBER:TIMES …
    cause TEXT NOT NULL,
    -- the transfer that a reversal takes back, once
    reverses BIGINT,
    -- the user who did it; NULL for background work
    by_id BIGINT,
    -- year × 100 + month in Asia/Shanghai
    month BIGINT NOT NULL,
    -- the month for which its income counts: of a refund that of the price; NULL: none was earned
    earned_month BIGINT,
    created_ms BIGINT NOT NULL
);
-- Decides between repeated and racing requests.
CREATE UNIQUE INDEX transfer_kind_cause_key ON transfer (kind, cause);
CREATE UNIQUE INDEX transfer_reverses_key ON transfer (reverses) WHERE reverses IS NOT NULL;

CREATE TABLE posting (
    transfer_id BIGINT NOT NULL,
    -- place in the transfer, from 0
    line BIGINT NOT NULL,
    -- as in ledger_account; also platform and outside:PROVIDER, which have no balance row
    account TEXT NOT NULL,
    -- above zero: into the account; zero: the wallet of a member whose fee paid or got back the whole price
    amount_fen BIGINT NOT NULL,
    -- of a guarded account: its balance after this posting, and the posting's place among its postings, from 1
    balance_after_fen BIGINT,
    place BIGINT,
    -- of its transfer
    month BIGINT NOT NULL,
    PRIMARY KEY (transfer_id, line)
);
-- An account's postings are a chain: two cannot have one place.
CREATE UNIQUE INDEX posting_account_place_key ON posting (account, place);
CREATE INDEX posting_by_month ON posting (account, month, place);

-- The income of a team by month, written with its postings. Distributed by team_id.
CREATE TABLE income_month (
    team_id BIGINT NOT NULL,
    month BIGINT NOT NULL,
    -- sum of the postings of the month to income:TEAM
    posted_fen BIGINT NOT NULL,
    -- earned in the month, less refunds of it, whenever they were made
    earned_fen BIGINT NOT NULL,
    PRIMARY KEY (team_id, month),
    -- SQLite turns a sum beyond an integer into a real: it is refused before
    CONSTRAINT income_month_earned_fen_check CHECK (earned_fen > -9000000000000000000 AND earned_fen < 9000000000000000000)
);

-- The platform's share of an income, from a time on. A reference table.
CREATE TABLE commission (
    from_ms BIGINT NOT NULL PRIMARY KEY,
    per_mille BIGINT NOT NULL,
    by_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    CONSTRAINT commission_per_mille_check CHECK (per_mille >= 0 AND per_mille <= 1000)
);

-- A consult that costs something. Distributed by consult_id.
CREATE TABLE consult_charge (
    consult_id BIGINT NOT NULL PRIMARY KEY,
    team_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    -- price and commission of the moment it began
    price_fen BIGINT NOT NULL,
    commission_per_mille BIGINT NOT NULL,
    -- how the price was paid
    fee_fen BIGINT NOT NULL,
    wallet_fen BIGINT NOT NULL,
    -- whose fee it was: the member's membership, as membership.times counts it; 0: no fee paid
    fee_times BIGINT NOT NULL DEFAULT 0,
    -- held, earned, returned
    state TEXT NOT NULL,
    -- of the commission, once it is earned
    commission_fen BIGINT NOT NULL,
    refunded_fen BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    -- when and in which month it was earned or returned; NULL while it is held
    ended_ms BIGINT,
    month BIGINT,
    CONSTRAINT consult_charge_refunded_fen_check CHECK (refunded_fen >= 0 AND refunded_fen <= price_fen)
);
CREATE INDEX consult_charge_by_month ON consult_charge (team_id, month, consult_id);

-- Per mille of the moment a service was proposed; NULL: nothing is charged for it. The rest is written by its confirmation.
ALTER TABLE vas ADD COLUMN commission_per_mille BIGINT;
ALTER TABLE vas ADD COLUMN commission_fen BIGINT NOT NULL DEFAULT 0;
ALTER TABLE vas ADD COLUMN refunded_fen BIGINT NOT NULL DEFAULT 0;
-- The month of its confirmation in Asia/Shanghai, as of its transfer.
ALTER TABLE vas ADD COLUMN month BIGINT;
CREATE INDEX vas_by_month ON vas (team_id, month, doctor_id, id);
-- The month in which a consult was finished, for the work of a team by month.
ALTER TABLE consult ADD COLUMN month BIGINT;
CREATE INDEX consult_by_month ON consult (team_id, month, id);

-- How often a member joined a team: each time is the cause of a fee. Distributed by team_id.
CREATE TABLE membership (
    team_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    times BIGINT NOT NULL,
    PRIMARY KEY (team_id, member_id)
);

-- A refund of a consult's price or of a service's, whole or in part. Distributed by consult_id.
CREATE TABLE refund (
    id BIGINT NOT NULL PRIMARY KEY,
    consult_id BIGINT NOT NULL,
    -- NULL: of the consult's price
    vas_id BIGINT,
    team_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    -- the part of the amount that the platform gives back
    commission_fen BIGINT NOT NULL,
    reason TEXT NOT NULL,
    by_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX refund_by_consult ON refund (consult_id, created_ms, id);

-- Where a team's income is paid to. A change is a new row. Distributed by team_id.
CREATE TABLE payee (
    id BIGINT NOT NULL PRIMARY KEY,
    team_id BIGINT NOT NULL,
    -- bank, wechat, alipay
    kind TEXT NOT NULL,
    holder TEXT NOT NULL,
    -- empty but for a bank account
    bank TEXT NOT NULL,
    -- the whole number: answers mask it
    account_number TEXT NOT NULL,
    by_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
-- Ids follow the order of commits: the newest row holds, whatever the clock did.
CREATE INDEX payee_by_team ON payee (team_id, id);

-- A withdrawal of income. Distributed by team_id.
CREATE TABLE withdrawal (
    id BIGINT NOT NULL PRIMARY KEY,
    team_id BIGINT NOT NULL,
    -- of the window, year × 100 + month
    month BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    payee_id BIGINT NOT NULL,
    -- asked, paid, failed
    state TEXT NOT NULL,
    asked_by BIGINT NOT NULL,
    asked_ms BIGINT NOT NULL,
    -- the outcome that an operator entered and another one has to approve: paid or failed; NULL until then
    entered TEXT,
    entered_by BIGINT,
    -- the bank's reference, or why it failed
    reference TEXT,
    approved_by BIGINT,
    ended_ms BIGINT
);
CREATE INDEX withdrawal_by_team ON withdrawal (team_id, month, asked_ms, id);
CREATE INDEX withdrawal_by_state ON withdrawal (state, asked_ms, id);
-- Who exported it for the bank or entered an outcome, and so may not approve it. Distributed by withdrawal_id.
CREATE TABLE withdrawal_export (
    withdrawal_id BIGINT NOT NULL,
    operator_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (withdrawal_id, operator_id)
);

-- A credit by hand, asked by one operator and approved by another. Distributed by user_id.
CREATE TABLE credit (
    id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    reason TEXT NOT NULL,
    -- asked, approved, refused
    state TEXT NOT NULL,
    asked_by BIGINT NOT NULL,
    asked_ms BIGINT NOT NULL,
    ended_by BIGINT,
    ended_ms BIGINT
);
CREATE INDEX credit_by_time ON credit (asked_ms, id);

-- A reversal of a transfer, asked by one operator and approved by another. Distributed by transfer_id.
CREATE TABLE reversal (
    id BIGINT NOT NULL PRIMARY KEY,
    transfer_id BIGINT NOT NULL,
    -- of that transfer
    kind TEXT NOT NULL,
    cause TEXT NOT NULL,
    -- the member whose wallet it changes, and by how much
    user_id BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    reason TEXT NOT NULL,
    -- asked, approved, refused
    state TEXT NOT NULL,
    asked_by BIGINT NOT NULL,
    asked_ms BIGINT NOT NULL,
    ended_by BIGINT,
    ended_ms BIGINT
);
CREATE INDEX reversal_by_time ON reversal (asked_ms, id);
-- A transfer is taken back once; one whose reversal was refused may be asked for again.
CREATE UNIQUE INDEX reversal_transfer_id_key ON reversal (transfer_id) WHERE state <> 'refused';

-- A top-up. Distributed by user_id.
CREATE TABLE payment_order (
    id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    -- mockpay, wechat, alipay
    provider TEXT NOT NULL,
    -- app, jsapi, native, h5
    scene TEXT NOT NULL,
    amount_fen BIGINT NOT NULL,
    -- open, paid, closed; an order that was closed here and paid there becomes paid
    state TEXT NOT NULL,
    -- what the app hands to the provider's SDK, JSON; NULL until the provider has made the order
    ticket TEXT,
    -- the provider's own number, once it is paid
    transaction_id TEXT,
    -- of a paid order: what was paid back of it
    refunded_fen BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    paid_ms BIGINT,
    -- how often the provider was asked, and when it is asked next; NULL: never again
    asked BIGINT NOT NULL,
    ask_ms BIGINT
);
CREATE INDEX payment_order_by_user ON payment_order (user_id, created_ms, id);
CREATE INDEX payment_order_by_state ON payment_order (user_id, state, created_ms, id);
CREATE INDEX payment_order_by_ask ON payment_order (provider, ask_ms, id);
CREATE INDEX payment_order_by_paid ON payment_order (provider, paid_ms, id);

-- A provider's notice, stored with what it posted. Distributed by notice_id.
CREATE TABLE payment_notice (
    provider TEXT NOT NULL,
    -- the provider's id of the notice
    notice_id TEXT NOT NULL,
    -- NULL: refused, and nothing moved
    order_id BIGINT,
    -- paid, closed, refunded, or the reason of a refusal
    outcome TEXT NOT NULL,
    -- SHA-256 of the body
    body_hash BYTEA NOT NULL,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (provider, notice_id)
);
CREATE INDEX payment_notice_by_time ON payment_notice (received_ms);

-- Balance that goes back to where it came from. Distributed by user_id.
CREATE TABLE payment_refund (
    id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    provider TEXT NOT NULL,
    amount_fen BIGINT NOT NULL,
    -- asked, done, failed
    state TEXT NOT NULL,
    failure TEXT,
    created_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    asked BIGINT NOT NULL,
    ask_ms BIGINT,
    -- the day of the bill that has it, as in bill_item
    billed BIGINT
);
CREATE INDEX payment_refund_by_ended ON payment_refund (provider, ended_ms, id);
CREATE INDEX payment_refund_by_user ON payment_refund (user_id, created_ms, id);
CREATE INDEX payment_refund_by_order ON payment_refund (order_id, id);
CREATE INDEX payment_refund_by_ask ON payment_refund (provider, ask_ms, id);

-- A difference between a provider's bill and our orders, closed by an operator with a word. Distributed by id.
CREATE TABLE bill_item (
    id BIGINT NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    -- of the bill, year × 10000 + month × 100 + day in Asia/Shanghai
    day BIGINT NOT NULL,
    -- order, refund
    kind TEXT NOT NULL,
    -- our number of it, as the provider has it
    number TEXT NOT NULL,
    -- ours_alone, theirs_alone, amount_differs
    difference TEXT NOT NULL,
    our_fen BIGINT,
    their_fen BIGINT,
    -- NULL while it is open
    word TEXT,
    closed_by BIGINT,
    -- when it was closed; while it is open the largest integer, so that open ones are listed first
    listed_ms BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX bill_item_provider_day_kind_number_difference_key ON bill_item (provider, day, kind, number, difference);
CREATE INDEX bill_item_by_listed ON bill_item (listed_ms, id);
-- Bills that were compared. A reference table.
CREATE TABLE bill (
    provider TEXT NOT NULL,
    day BIGINT NOT NULL,
    orders BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    compared_ms BIGINT NOT NULL,
    PRIMARY KEY (provider, day)
);

-- The books of mockpay, the provider for development: as a real one keeps its own. Distributed by out_trade_no.
CREATE TABLE mockpay_order (
    out_trade_no TEXT NOT NULL PRIMARY KEY,
    amount_fen BIGINT NOT NULL,
    -- open, paid, refused, closed
    state TEXT NOT NULL,
    transaction_id TEXT,
    -- by its tricks another amount than asked for
    paid_fen BIGINT,
    created_ms BIGINT NOT NULL,
    paid_ms BIGINT
);
CREATE INDEX mockpay_order_by_paid ON mockpay_order (paid_ms, out_trade_no);
CREATE TABLE mockpay_refund (
    out_refund_no TEXT NOT NULL PRIMARY KEY,
    out_trade_no TEXT NOT NULL,
    amount_fen BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX mockpay_refund_by_order ON mockpay_refund (out_trade_no, created_ms);
CREATE INDEX mockpay_refund_by_time ON mockpay_refund (created_ms, out_refund_no);

-- Another record that an operator's act is about, by its kind and id or name: withdrawal:7, bill_item:9, job:bills.
ALTER TABLE audit ADD COLUMN subject TEXT;

-- Background work, done by the one process that holds its lease. A reference table.
CREATE TABLE job (
    name TEXT NOT NULL PRIMARY KEY,
    -- NULL: free
    holder TEXT,
    -- counts leases: a holder whose lease was taken over writes nothing any more
    lease BIGINT NOT NULL,
    -- until when the lease holds, and when the job runs next: the database server's clock, or the process's own on SQLite
    until_ms BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    -- how far it has come; its own text
    cursor TEXT NOT NULL,
    -- failures in a row, and the last one
    failures BIGINT NOT NULL,
    failure TEXT,
    paused BOOLEAN NOT NULL,
    -- how much waits, as the last turn has counted
    backlog BIGINT NOT NULL
);
