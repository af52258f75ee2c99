//! The movement of each event: from which account to which, and by which cause.

use proto::UserId;

use crate::{Account, Commission, Fen, Month, Outside};

/// The event that moves money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A member paid an order.
    TopUp,
    /// A member joined a team and paid its fee in advance.
    Join,
    /// A consult began: its price is held.
    Begin,
    /// A consult was finished: the team earned its price.
    Finish,
    /// A consult was cancelled: its price went back.
    Cancel,
    /// A member confirmed a value-added service.
    Vas,
    /// A team or an operator gave back a price.
    Refund,
    /// A team asked for income.
    Withdrawal,
    /// The bank paid a withdrawal out.
    Paid,
    /// A payout failed.
    Failed,
    /// A member left a team: the rest of the fee went back.
    Leave,
    /// Balance went back to where it came from.
    PayBack,
    /// The provider refused to pay back.
    PayBackFailed,
    /// A credit by hand.
    Credit,
    /// A mistake was taken back.
    Reversal,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::TopUp,
        Self::Join,
        Self::Begin,
        Self::Finish,
        Self::Cancel,
        Self::Vas,
        Self::Refund,
        Self::Withdrawal,
        Self::Paid,
        Self::Failed,
        Self::Leave,
        Self::PayBack,
        Self::PayBackFailed,
        Self::Credit,
        Self::Reversal,
    ];

    /// The word of the database and of REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TopUp => "top_up",
            Self::Join => "join",
            Self::Begin => "begin",
            Self::Finish => "finish",
            Self::Cancel => "cancel",
            Self::Vas => "vas",
            Self::Refund => "refund",
            Self::Withdrawal => "withdrawal",
            Self::Paid => "paid",
            Self::Failed => "failed",
            Self::Leave => "leave",
            Self::PayBack => "pay_back",
            Self::PayBackFailed => "pay_back_failed",
            Self::Credit => "credit",
            Self::Reversal => "reversal",
        }
    }

    /// Of a word; `None` when it is unknown.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether it charges a member for a consult or a service, or gives a charge back. Fees are paid in advance: joining
    /// and leaving a team consume nothing.
    pub const fn is_consumption(self) -> bool {
        matches!(self, Self::Begin | Self::Cancel | Self::Vas | Self::Refund)
    }
}

/// An amount that goes into an account, or out of it when it is below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The account.
    pub account: Account,
    /// Fen, signed.
    pub amount_fen: i64,
}

/// The month for which an income counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earned {
    /// That of the transfer.
    Now,
    /// That of the price which is given back.
    In(Month),
}

/// How the price of a consult is paid: by the fee first, the rest by the wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Of the membership fee.
    pub fee: Fen,
    /// Of the wallet.
    pub wallet: Fen,
}

impl Split {
    /// The split of a price, for a member whose fee has this rest.
    pub fn of(price: Fen, rest_of_fee: Fen) -> Self {
        let fee = price.min(rest_of_fee);
        let wallet = price.saturating_sub(fee);
        Self { fee, wallet }
    }
}

/// A movement of money: its legs sum to zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    pub(crate) kind: Kind,
    pub(crate) cause: String,
    pub(crate) reverses: Option<i64>,
    pub(crate) legs: Vec<Leg>,
    /// `None`: its income was not earned, as that of a payout that failed.
    pub(crate) earned: Option<Earned>,
    pub(crate) consumed_fen: i64,
}

impl Movement {
    /// A member's order was paid.
    pub fn top_up(order: i64, from: Outside, member: UserId, amount: Fen) -> Self {
        let legs = pair(Account::Outside(from), Account::Wallet(member), amount);
        Self::new(Kind::TopUp, format!("order:{order}"), legs)
    }

    /// A member joins a team, for the `times`th time.
    pub fn join(team: i64, member: UserId, times: i64, fee: Fen) -> Self {
        let legs = pair(Account::Wallet(member), Account::Fee { team, member }, fee);
        Self::new(Kind::Join, membership(team, member, times), legs)
    }

    /// A member leaves a team: the rest of the fee goes back to the wallet.
    pub fn leave(team: i64, member: UserId, times: i64, rest: Fen) -> Self {
        let legs = pair(Account::Fee { team, member }, Account::Wallet(member), rest);
        Self::new(Kind::Leave, membership(team, member, times), legs)
    }

    /// A consult begins.
    pub fn begin(consult: i64, team: i64, member: UserId, split: Split) -> Self {
        let legs = held(consult, team, member, split);
        let legs = legs.map(|leg| Leg {
            amount_fen: -leg.amount_fen,
            ..leg
        });
        Self::new(Kind::Begin, format!("consult:{consult}"), legs.to_vec())
    }

    /// A consult is cancelled: each part goes back to where it came from.
    pub fn cancel(consult: i64, team: i64, member: UserId, split: Split) -> Self {
        let legs = held(consult, team, member, split).to_vec();
        Self::new(Kind::Cancel, format!("consult:{consult}"), legs)
    }

    /// A consult is finished.
    pub fn finish(consult: i64, team: i64, price: Fen, commission: Commission) -> Self {
        let cause = format!("consult:{consult}");
        Self::earn(
            Kind::Finish,
            cause,
            Account::Held(consult),
            team,
            price,
            commission,
        )
    }

    /// A member confirms a value-added service.
    pub fn vas(vas: i64, team: i64, member: UserId, price: Fen, commission: Commission) -> Self {
        let wallet = Account::Wallet(member);
        Self::earn(Kind::Vas, format!("vas:{vas}"), wallet, team, price, commission)
    }

    fn earn(kind: Kind, cause: String, from: Account, team: i64, price: Fen, commission: Commission) -> Self {
        let part = commission.of(price).get();
        let income = price.get() - part;
        let legs = vec![
            leg(from, -price.get()),
            leg(Account::Income(team), income),
            leg(Account::Platform, part),
        ];
        Self {
            earned: Some(Earned::Now),
            ..Self::new(kind, cause, legs)
        }
    }

    /// A price is given back, whole or in part. `commission` is the platform's part of the amount
    /// ([`Commission::refunded`]); the team's part counts against the month in which the price was earned.
    pub fn refund(
        refund: i64,
        team: i64,
        member: UserId,
        amount: Fen,
        commission: Fen,
        earned_in: Month,
    ) -> Self {
        let income = commission.get() - amount.get();
        let legs = vec![
            leg(Account::Income(team), income),
            leg(Account::Platform, -commission.get()),
            leg(Account::Wallet(member), amount.get()),
        ];
        Self {
            earned: Some(Earned::In(earned_in)),
            ..Self::new(Kind::Refund, format!("refund:{refund}"), legs)
        }
    }

    /// A team asks for income.
    pub fn withdraw(withdrawal: i64, team: i64, amount: Fen) -> Self {
        let legs = pair(Account::Income(team), Account::Payout(team), amount);
        Self::new(Kind::Withdrawal, format!("withdrawal:{withdrawal}"), legs)
    }

    /// A withdrawal was paid out.
    pub fn paid(withdrawal: i64, team: i64, amount: Fen) -> Self {
        let legs = pair(Account::Payout(team), Account::Outside(Outside::Bank), amount);
        Self::new(Kind::Paid, format!("withdrawal:{withdrawal}"), legs)
    }

    /// A payout failed: the income is the team's again.
    pub fn failed(withdrawal: i64, team: i64, amount: Fen) -> Self {
        let legs = pair(Account::Payout(team), Account::Income(team), amount);
        Self::new(Kind::Failed, format!("withdrawal:{withdrawal}"), legs)
    }

    /// Balance goes back to where it came from.
    pub fn pay_back(pay_back: i64, to: Outside, member: UserId, amount: Fen) -> Self {
        let legs = pair(Account::Wallet(member), Account::Outside(to), amount);
        Self::new(Kind::PayBack, format!("pay_back:{pay_back}"), legs)
    }

    /// The provider refused to pay back: the balance is the member's again.
    pub fn pay_back_failed(pay_back: i64, to: Outside, member: UserId, amount: Fen) -> Self {
        let legs = pair(Account::Outside(to), Account::Wallet(member), amount);
        Self::new(Kind::PayBackFailed, format!("pay_back:{pay_back}"), legs)
    }

    /// A credit by hand.
    pub fn credit(credit: i64, member: UserId, amount: Fen) -> Self {
        let legs = pair(Account::Outside(Outside::Hand), Account::Wallet(member), amount);
        Self::new(Kind::Credit, format!("credit:{credit}"), legs)
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The cause, as the database has it.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// The legs, without those of nothing. A movement of nothing has none, and is not posted. A wallet keeps its leg of
    /// nothing where a fee pays the whole price, so that its postings are the whole record of its member.
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The month for which its income counts, when it is posted in a month; `None` when none was earned.
    pub(crate) fn earned_month(&self, now: Month) -> Option<Month> {
        self.earned.map(|earned| match earned {
            Earned::Now => now,
            Earned::In(month) => month,
        })
    }

    /// The team whose income it moves, and by how much.
    pub(crate) fn income(&self) -> Option<(i64, i64)> {
        self.legs.iter().find_map(|leg| match leg.account {
            Account::Income(team) => Some((team, leg.amount_fen)),
            _ => None,
        })
    }

    /// The member's consumption by it (已消费), fen, from wallet and fee; below zero where a charge went back.
    pub fn consumed_fen(&self) -> i64 {
        self.consumed_fen
    }

    pub(crate) fn new(kind: Kind, cause: String, legs: Vec<Leg>) -> Self {
        Self::of(kind, cause, legs, kind.is_consumption())
    }

    /// The legs are those of a consumption, or of the reversal of one.
    pub(crate) fn of(kind: Kind, cause: String, mut legs: Vec<Leg>, is_consumption: bool) -> Self {
        let mut consumed_fen = 0;
        if is_consumption {
            let of_member = |leg: &&Leg| matches!(leg.account, Account::Wallet(_) | Account::Fee { .. });
            consumed_fen = -legs
                .iter()
                .filter(of_member)
                .map(|leg| leg.amount_fen)
                .sum::<i64>();
        }
        legs.retain(|leg| {
            leg.amount_fen != 0 || (consumed_fen != 0 && matches!(leg.account, Account::Wallet(_)))
        });
        Self {
            kind,
            cause,
            reverses: None,
            legs,
            earned: None,
            consumed_fen,
        }
    }
}

const fn leg(account: Account, amount_fen: i64) -> Leg {
    Leg { account, amount_fen }
}

fn pair(from: Account, to: Account, amount: Fen) -> Vec<Leg> {
    vec![leg(from, -amount.get()), leg(to, amount.get())]
}

/// The held price goes back.
fn held(consult: i64, team: i64, member: UserId, split: Split) -> [Leg; 3] {
    [
        leg(Account::Held(consult), -split.fee.get() - split.wallet.get()),
        leg(Account::Fee { team, member }, split.fee.get()),
        leg(Account::Wallet(member), split.wallet.get()),
    ]
}

fn membership(team: i64, member: UserId, times: i64) -> String {
    format!("membership:{team}:{}:{times}", member.get())
}
