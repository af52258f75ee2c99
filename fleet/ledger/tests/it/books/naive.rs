//! The naive ledger: maps and plain sums, in memory.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::{Act, Line, Outcome};

const MAX_BALANCE: i64 = 1_000_000_000_000_000;
const BEFORE: Outcome = Ok(Vec::new());

/// A charge of a consult or a service.
#[derive(Clone, Debug)]
struct Charge {
    team: i64,
    member: i64,
    price: i64,
    commission: i64,
    fee: i64,
    refunded: i64,
    /// held, earned, returned
    state: &'static str,
    month: i64,
}

/// A transfer, for reversals.
#[derive(Clone, Debug)]
struct Moved {
    legs: Vec<(String, i64)>,
    earned: Option<i64>,
}

#[derive(Clone, Debug, Default)]
pub struct Naive {
    pub balances: BTreeMap<String, i64>,
    pub consumed: BTreeMap<i64, i64>,
    /// Posted and earned, by team and month.
    pub months: BTreeMap<(i64, i64), (i64, i64)>,
    moved: HashMap<(String, String), Moved>,
    consults: HashMap<i64, Charge>,
    services: HashMap<i64, Charge>,
    refunds: HashMap<i64, i64>,
    withdrawals: HashMap<i64, (i64, i64, &'static str)>,
    pay_backs: HashMap<i64, (i64, i64, &'static str)>,
    /// How often a member has joined a team.
    joined: HashMap<(i64, i64), i64>,
    now_ms: i64,
}

/// Year, month and day in Shanghai.
fn date(ms: i64) -> (i64, i64, i64) {
    let offset = jiff::tz::offset(8);
    let date = offset.to_datetime(Timestamp::from_millisecond(ms).unwrap());
    (date.year().into(), date.month().into(), date.day().into())
}

fn month(ms: i64) -> i64 {
    let (year, month, _) = date(ms);
    year * 100 + month
}

fn share(price: i64, per_mille: i64) -> i64 {
    let (whole, rest) = (price * per_mille / 1000, price * per_mille % 1000);
    if rest >= 500 { whole + 1 } else { whole }
}

impl Naive {
    pub fn at(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    pub fn balance(&self, account: &str) -> i64 {
        self.balances.get(account).copied().unwrap_or(0)
    }

    pub fn earned(&self, team: i64) -> i64 {
        self.months
            .range((team, 0)..(team + 1, 0))
            .map(|(_, sums)| sums.1)
            .sum()
    }

    /// The sum for a window of a month: what was earned before it.
    pub fn withdrawable(&self, team: i64, month: i64) -> i64 {
        let since: i64 = self
            .months
            .range((team, month)..(team + 1, 0))
            .map(|(_, sums)| sums.1)
            .sum();
        (self.balance(&format!("income:{team}")) - since).max(0)
    }

    /// Moves money, or says why not.
    fn moves(
        &mut self,
        kind: &str,
        cause: String,
        legs: &[(String, i64)],
        earned: Option<i64>,
        consumes: bool,
    ) -> Outcome {
        let key = (kind.to_owned(), cause);
        let consumed: i64 = -legs
            .iter()
            .filter(|(account, _)| account.starts_with("wallet:") || account.starts_with("fee:"))
            .map(|(_, amount)| amount)
            .sum::<i64>();
        let consumed = if consumes { consumed } else { 0 };
        let mut legs: Vec<(String, i64)> = legs
            .iter()
            .filter(|(account, amount)| *amount != 0 || (consumed != 0 && account.starts_with("wallet:")))
            .cloned()
            .collect();
        legs.sort();
        if legs.is_empty() || self.moved.contains_key(&key) {
            return BEFORE;
        }
        let mut lines: Vec<Line> = Vec::new();
        for (account, amount) in &legs {
            if account == "platform" || account.starts_with("outside:") {
                lines.push((account.clone(), *amount, None));
                continue;
            }
            let after = self.balance(account) + amount;
            if after < 0 {
                return Err(format!("insufficient {account}"));
            }
            if after > MAX_BALANCE {
                return Err(format!("too large {account}"));
            }
            lines.push((account.clone(), *amount, Some(after)));
        }
        for (account, amount) in &legs {
            *self.balances.entry(account.clone()).or_default() += amount;
            if let Some(team) = account.strip_prefix("income:") {
                let team = team.parse().unwrap();
                self.months.entry((team, month(self.now_ms))).or_default().0 += amount;
                if let Some(earned) = earned {
                    self.months.entry((team, earned)).or_default().1 += amount;
                }
            }
            if let (true, Some(member)) = (consumes, account.strip_prefix("wallet:")) {
                *self.consumed.entry(member.parse().unwrap()).or_default() += consumed;
            }
        }
        self.moved.insert(key, Moved { legs, earned });
        Ok(lines)
    }

    fn pair(&mut self, kind: &str, cause: String, from: String, to: String, amount: i64) -> Outcome {
        self.moves(kind, cause, &[(from, -amount), (to, amount)], None, false)
    }

    pub fn act(&mut self, act: &Act) -> Outcome {
        let wallet = |member: &i64| format!("wallet:{member}");
        let income = |team: &i64| format!("income:{team}");
        let now = month(self.now_ms);
        match act {
            Act::TopUp {
                order,
                member,
                amount,
            } => {
                let (from, to) = ("outside:mockpay".to_owned(), wallet(member));
                self.pair("top_up", format!("order:{order}"), from, to, *amount)
            }
            Act::Credit {
                credit,
                member,
                amount,
            } => {
                let (from, to) = ("outside:hand".to_owned(), wallet(member));
                self.pair("credit", format!("credit:{credit}"), from, to, *amount)
            }
            Act::Join {
                team,
                member,
                times,
                fee,
            } => {
                let cause = format!("membership:{team}:{member}:{times}");
                let moved = self.pair(
                    "join",
                    cause,
                    wallet(member),
                    format!("fee:{team}:{member}"),
                    *fee,
                )?;
                let joined = self.joined.entry((*team, *member)).or_default();
                *joined = (*joined).max(*times);
                Ok(moved)
            }
            Act::Leave { team, member, times } => {
                let cause = format!("membership:{team}:{member}:{times}");
                if self.joined.get(&(*team, *member)) != Some(times) {
                    return Err("not joined".to_owned());
                }
                if self.moved.contains_key(&("leave".to_owned(), cause.clone())) {
                    return Err("left".to_owned());
                }
                let from = format!("fee:{team}:{member}");
                let rest = self.balance(&from);
                self.pair("leave", cause, from, wallet(member), rest)
            }
            Act::Begin {
                consult,
                team,
                member,
                price,
                per_mille,
            } => {
                if self.consults.contains_key(consult) {
                    return BEFORE;
                }
                let from_fee = (*price).min(self.balance(&format!("fee:{team}:{member}")));
                let charge = Charge {
                    team: *team,
                    member: *member,
                    price: *price,
                    commission: share(*price, *per_mille),
                    fee: from_fee,
                    refunded: 0,
                    state: "held",
                    month: 0,
                };
                let moved = self.consult(*consult, &charge, "begin", -1)?;
                self.consults.insert(*consult, charge);
                Ok(moved)
            }
            Act::Cancel { consult } => {
                let charge = self.consults.get(consult).cloned().ok_or("unknown")?;
                if charge.state != "held" {
                    return Err(charge.state.to_owned());
                }
                let moved = self.consult(*consult, &charge, "cancel", 1)?;
                self.consults.get_mut(consult).unwrap().state = "returned";
                Ok(moved)
            }
            Act::Finish { consult } => {
                let charge = self.consults.get(consult).cloned().ok_or("unknown")?;
                if charge.state != "held" {
                    return Err(charge.state.to_owned());
                }
                let legs = [
                    (format!("held:{consult}"), -charge.price),
                    (income(&charge.team), charge.price - charge.commission),
                    ("platform".to_owned(), charge.commission),
                ];
                let moved = self.moves("finish", format!("consult:{consult}"), &legs, Some(now), false)?;
                let charge = self.consults.get_mut(consult).unwrap();
                (charge.state, charge.month) = ("earned", now);
                Ok(moved)
            }
            Act::Vas {
                vas,
                team,
                member,
                price,
                per_mille,
            } => {
                let commission = share(*price, *per_mille);
                let legs = [
                    (wallet(member), -price),
                    (income(team), price - commission),
                    ("platform".to_owned(), commission),
                ];
                let moved = self.moves("vas", format!("vas:{vas}"), &legs, Some(now), true)?;
                self.services.entry(*vas).or_insert(Charge {
                    team: *team,
                    member: *member,
                    price: *price,
                    commission,
                    fee: 0,
                    refunded: 0,
                    state: "earned",
                    month: now,
                });
                Ok(moved)
            }
            Act::RefundConsult {
                refund,
                consult,
                amount,
            } => {
                let charge = self.consults.get(consult).cloned().ok_or("unknown")?;
                let moved = self.refund(*refund, &charge, *amount)?;
                if !moved.is_empty() {
                    self.consults.get_mut(consult).unwrap().refunded += amount;
                }
                Ok(moved)
            }
            Act::RefundVas { refund, vas, amount } => {
                let charge = self.services.get(vas).cloned().ok_or("unknown")?;
                let moved = self.refund(*refund, &charge, *amount)?;
                if !moved.is_empty() {
                    self.services.get_mut(vas).unwrap().refunded += amount;
                }
                Ok(moved)
            }
            Act::Withdraw {
                withdrawal,
                team,
                amount,
            } => {
                if self.withdrawals.contains_key(withdrawal) {
                    return BEFORE;
                }
                let (_, _, day) = date(self.now_ms);
                if day > 5 {
                    return Err("window closed".to_owned());
                }
                if *amount > self.withdrawable(*team, now) {
                    return Err("not withdrawable".to_owned());
                }
                let cause = format!("withdrawal:{withdrawal}");
                let moved = self.pair(
                    "withdrawal",
                    cause,
                    income(team),
                    format!("payout:{team}"),
                    *amount,
                )?;
                self.withdrawals.insert(*withdrawal, (*team, *amount, "asked"));
                Ok(moved)
            }
            Act::Paid { withdrawal } => self.end(*withdrawal, "paid"),
            Act::Failed { withdrawal } => self.end(*withdrawal, "failed"),
            Act::PayBack {
                pay_back,
                member,
                amount,
            } => {
                let (from, to) = (wallet(member), "outside:mockpay".to_owned());
                let moved = self.pair("pay_back", format!("pay_back:{pay_back}"), from, to, *amount)?;
                self.pay_backs
                    .entry(*pay_back)
                    .or_insert((*member, *amount, "asked"));
                Ok(moved)
            }
            Act::PayBackFailed { pay_back } => {
                let (member, amount, state) = *self.pay_backs.get(pay_back).ok_or("unknown")?;
                if state != "asked" {
                    return Err(state.to_owned());
                }
                let (from, to) = ("outside:mockpay".to_owned(), wallet(&member));
                let cause = format!("pay_back:{pay_back}");
                let moved = self.pair("pay_back_failed", cause, from, to, amount)?;
                self.pay_backs.insert(*pay_back, (member, amount, "failed"));
                Ok(moved)
            }
            Act::Reverse { kind, cause } => {
                let key = (kind.clone(), cause.clone());
                let moved = self.moved.get(&key).cloned().ok_or("unknown")?;
                if kind == "reversal" {
                    return Err("a reversal".to_owned());
                }
                let back: Vec<(String, i64)> = moved
                    .legs
                    .iter()
                    .map(|(account, amount)| (account.clone(), -amount))
                    .collect();
                let consumes = ["begin", "cancel", "vas", "refund"].contains(&kind.as_str());
                self.moves(
                    "reversal",
                    format!("{kind}/{cause}"),
                    &back,
                    moved.earned,
                    consumes,
                )
            }
        }
    }

    fn consult(&mut self, consult: i64, charge: &Charge, kind: &str, sign: i64) -> Outcome {
        let legs = [
            (format!("held:{consult}"), -sign * charge.price),
            (
                format!("fee:{}:{}", charge.team, charge.member),
                sign * charge.fee,
            ),
            (
                format!("wallet:{}", charge.member),
                sign * (charge.price - charge.fee),
            ),
        ];
        self.moves(kind, format!("consult:{consult}"), &legs, None, true)
    }

    fn refund(&mut self, refund: i64, charge: &Charge, amount: i64) -> Outcome {
        if self.refunds.contains_key(&refund) {
            return BEFORE;
        }
        if charge.state != "earned" {
            return Err(charge.state.to_owned());
        }
        if charge.refunded + amount > charge.price {
            return Err("exceeds the price".to_owned());
        }
        let upto = |refunded: i64| {
            i128::from(charge.commission) * i128::from(refunded) / i128::from(charge.price.max(1))
        };
        let part = (upto(charge.refunded + amount) - upto(charge.refunded)) as i64;
        let legs = [
            (format!("income:{}", charge.team), part - amount),
            ("platform".to_owned(), -part),
            (format!("wallet:{}", charge.member), amount),
        ];
        let moved = self.moves(
            "refund",
            format!("refund:{refund}"),
            &legs,
            Some(charge.month),
            true,
        )?;
        self.refunds.insert(refund, amount);
        Ok(moved)
    }

    fn end(&mut self, withdrawal: i64, outcome: &'static str) -> Outcome {
        let (team, amount, state) = *self.withdrawals.get(&withdrawal).ok_or("unknown")?;
        if state != "asked" {
            return Err(state.to_owned());
        }
        let to = if outcome == "paid" {
            "outside:bank".to_owned()
        } else {
            format!("income:{team}")
        };
        let cause = format!("withdrawal:{withdrawal}");
        let moved = self.pair(outcome, cause, format!("payout:{team}"), to, amount)?;
        self.withdrawals.insert(withdrawal, (team, amount, outcome));
        Ok(moved)
    }
}
