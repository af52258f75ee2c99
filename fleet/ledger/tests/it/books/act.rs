//! Acts upon the books, as a script writes them.

/// An act. Ids are those of its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    TopUp {
        order: i64,
        member: i64,
        amount: i64,
    },
    Join {
        team: i64,
        member: i64,
        times: i64,
        fee: i64,
    },
    Leave {
        team: i64,
        member: i64,
        times: i64,
    },
    Begin {
        consult: i64,
        team: i64,
        member: i64,
        price: i64,
        per_mille: i64,
    },
    Finish {
        consult: i64,
    },
    Cancel {
        consult: i64,
    },
    Vas {
        vas: i64,
        team: i64,
        member: i64,
        price: i64,
        per_mille: i64,
    },
    RefundConsult {
        refund: i64,
        consult: i64,
        amount: i64,
    },
    RefundVas {
        refund: i64,
        vas: i64,
        amount: i64,
    },
    Withdraw {
        withdrawal: i64,
        team: i64,
        amount: i64,
    },
    Paid {
        withdrawal: i64,
    },
    Failed {
        withdrawal: i64,
    },
    PayBack {
        pay_back: i64,
        member: i64,
        amount: i64,
    },
    PayBackFailed {
        pay_back: i64,
    },
    Credit {
        credit: i64,
        member: i64,
        amount: i64,
    },
    /// Takes back the transfer of an event: its kind and its cause.
    Reverse {
        kind: String,
        cause: String,
    },
}

impl Act {
    /// The act of a line; panics where there is none.
    pub fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| -> i64 { words[at].parse().unwrap_or_else(|_| panic!("{line}")) };
        match (words[0], words.len()) {
            ("top-up", 4) => Self::TopUp {
                order: number(1),
                member: number(2),
                amount: number(3),
            },
            ("join", 5) => Self::Join {
                team: number(1),
                member: number(2),
                times: number(3),
                fee: number(4),
            },
            ("leave", 4) => Self::Leave {
                team: number(1),
                member: number(2),
                times: number(3),
            },
            ("begin", 6) => Self::Begin {
                consult: number(1),
                team: number(2),
                member: number(3),
                price: number(4),
                per_mille: number(5),
            },
            ("finish", 2) => Self::Finish { consult: number(1) },
            ("cancel", 2) => Self::Cancel { consult: number(1) },
            ("vas", 6) => Self::Vas {
                vas: number(1),
                team: number(2),
                member: number(3),
                price: number(4),
                per_mille: number(5),
            },
            ("refund-consult", 4) => Self::RefundConsult {
                refund: number(1),
                consult: number(2),
                amount: number(3),
            },
            ("refund-vas", 4) => Self::RefundVas {
                refund: number(1),
                vas: number(2),
                amount: number(3),
            },
            ("withdraw", 4) => Self::Withdraw {
                withdrawal: number(1),
                team: number(2),
                amount: number(3),
            },
            ("paid", 2) => Self::Paid {
                withdrawal: number(1),
            },
            ("failed", 2) => Self::Failed {
                withdrawal: number(1),
            },
            ("pay-back", 4) => Self::PayBack {
                pay_back: number(1),
                member: number(2),
                amount: number(3),
            },
            ("pay-back-failed", 2) => Self::PayBackFailed { pay_back: number(1) },
            ("credit", 4) => Self::Credit {
                credit: number(1),
                member: number(2),
                amount: number(3),
            },
            ("reverse", 3) => Self::Reverse {
                kind: words[1].to_owned(),
                cause: words[2].to_owned(),
            },
            _ => panic!("no such act: {line}"),
        }
    }
}
