-- Only the postings of incomes are listed by month: the index had those of all accounts, and each write paid for it.
DROP INDEX posting_by_month;
CREATE INDEX posting_by_month ON posting (account, month, place) WHERE substr(account, 1, 7) = 'income:';
