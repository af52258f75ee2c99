//! Random acts: ids repeat, amounts are often more than there is, and months pass.

use std::collections::HashMap;

use testkit::Random;

use super::Act;

pub struct Acts {
    random: Random,
    pub now_ms: i64,
    members: i64,
    teams: i64,
    /// The newest id of each kind of cause.
    ids: i64,
    /// How often each member of a team has joined last.
    joined: HashMap<(i64, i64), i64>,
}

/// 2026-01-01 in Shanghai.
const BEGIN_MS: i64 = 1_767_196_800_000;
const DAY_MS: i64 = 24 * 3_600_000;

impl Acts {
    pub fn new(seed: u64, members: i64, teams: i64) -> Self {
        Self {
            random: Random::new(seed),
            now_ms: BEGIN_MS,
            members,
            teams,
            ids: 0,
            joined: HashMap::new(),
        }
    }

    fn one(&mut self, limit: i64) -> i64 {
        1 + self.random.below(limit)
    }

    /// A new id, or one of the last ones again.
    fn id(&mut self) -> i64 {
        if self.random.chance(5) && self.ids > 0 {
            return self.old_id();
        }
        self.ids += 1;
        self.ids
    }

    fn old_id(&mut self) -> i64 {
        let back = self.random.below(200);
        (self.ids - back).max(1)
    }

    fn amount(&mut self) -> i64 {
        match self.random.below(10) {
            0 => self.random.below(10),
            1..=7 => self.random.below(10_000),
            _ => self.random.below(1_000_000),
        }
    }

    /// The next act and its time.
    pub fn next(&mut self) -> (i64, Act) {
        let passes = match self.random.below(100) {
            0 => self.random.below(5 * DAY_MS),
            _ => self.random.below(600_000),
        };
        self.now_ms += passes;
        (self.now_ms, self.act())
    }

    fn act(&mut self) -> Act {
        let (member, team) = (self.one(self.members), self.one(self.teams));
        let (amount, per_mille) = (self.amount(), self.random.below(1001));
        match self.random.below(100) {
            // Amounts of one cause do not change: they follow from its id.
            0..=14 => {
                let order = self.id();
                Act::TopUp {
                    order,
                    member: 1 + order % self.members,
                    amount: order * 7919 % 200_000,
                }
            }
            15..=17 => {
                let credit = self.id();
                Act::Credit {
                    credit,
                    member: 1 + credit % self.members,
                    amount: credit * 31 % 5_000,
                }
            }
            18..=23 => {
                let times = self.id();
                let (team, member) = (1 + times % self.teams, 1 + times % self.members);
                let last = self.joined.entry((team, member)).or_default();
                *last = times.max(*last);
                Act::Join {
                    team,
                    member,
                    times,
                    fee: times * 7919 % 8_000,
                }
            }
            24..=26 => {
                let times = self.joined.get(&(team, member)).copied().unwrap_or(1);
                Act::Leave { team, member, times }
            }
            27..=41 => Act::Begin {
                consult: self.id(),
                team,
                member,
                price: amount,
                per_mille,
            },
            42..=52 => Act::Finish {
                consult: self.old_id(),
            },
            53..=57 => Act::Cancel {
                consult: self.old_id(),
            },
            58..=74 => {
                let vas = self.id();
                let (member, team) = (1 + vas % self.members, 1 + vas % self.teams);
                Act::Vas {
                    vas,
                    team,
                    member,
                    price: vas * 104_729 % 9_000,
                    per_mille: vas % 1001,
                }
            }
            75..=79 => Act::RefundConsult {
                refund: self.id(),
                consult: self.old_id(),
                amount: amount / 8,
            },
            80..=84 => Act::RefundVas {
                refund: self.id(),
                vas: self.old_id(),
                amount: amount / 8,
            },
            85..=89 => Act::Withdraw {
                withdrawal: self.id(),
                team,
                amount,
            },
            90..=92 => Act::Paid {
                withdrawal: self.old_id(),
            },
            93..=94 => Act::Failed {
                withdrawal: self.old_id(),
            },
            95..=96 => {
                let pay_back = self.id();
                Act::PayBack {
                    pay_back,
                    member: 1 + pay_back % self.members,
                    amount: pay_back * 13 % 3_000,
                }
            }
            97 => Act::PayBackFailed {
                pay_back: self.old_id(),
            },
            _ => {
                let id = self.old_id();
                let kinds = [
                    ("top_up", "order"),
                    ("credit", "credit"),
                    ("finish", "consult"),
                    ("vas", "vas"),
                    ("refund", "refund"),
                    ("begin", "consult"),
                    ("withdrawal", "withdrawal"),
                ];
                let (kind, word) = self.random.one_of(&kinds);
                Act::Reverse {
                    kind: kind.into(),
                    cause: format!("{word}:{id}"),
                }
            }
        }
    }
}
