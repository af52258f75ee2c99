//! The accounts that hold money.

use std::{fmt, str::FromStr};

use proto::UserId;

/// An account. Its text is its key in the database, and orders the locks of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// A member's balance (余额).
    Wallet(UserId),
    /// A membership fee, paid in advance (会费).
    Fee {
        /// Its team.
        team: i64,
        /// The member who paid it.
        member: UserId,
    },
    /// The price of a consult that has not ended.
    Held(i64),
    /// A team's income that was not withdrawn.
    Income(i64),
    /// A team's income that was withdrawn and is not paid out yet.
    Payout(i64),
    /// The platform's commission. Not guarded.
    Platform,
    /// The world, by the way in or out. Not guarded.
    Outside(Outside),
}

/// A way of money in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outside {
    /// The provider for development and demonstrations.
    Mockpay,
    /// WeChat Pay.
    Wechat,
    /// Alipay.
    Alipay,
    /// Payouts of a bank.
    Bank,
    /// Credits by hand.
    Hand,
}

impl Outside {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mockpay, Self::Wechat, Self::Alipay, Self::Bank, Self::Hand];

    /// The word of the database and of REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mockpay => "mockpay",
            Self::Wechat => "wechat",
            Self::Alipay => "alipay",
            Self::Bank => "bank",
            Self::Hand => "hand",
        }
    }

    /// Of a word; `None` when it is unknown.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outside| outside.as_str() == word)
    }
}

impl Account {
    /// Whether its balance is kept, and never falls below zero. The others are in every transfer of their kind: a balance
    /// row would be a hot row, so their balance is the sum of their postings.
    pub const fn is_guarded(self) -> bool {
        !matches!(self, Self::Platform | Self::Outside(_))
    }

    /// The first word of its text.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Wallet(_) => "wallet",
            Self::Fee { .. } => "fee",
            Self::Held(_) => "held",
            Self::Income(_) => "income",
            Self::Payout(_) => "payout",
            Self::Platform => "platform",
            Self::Outside(_) => "outside",
        }
    }

    /// User, team or consult, and the member of a fee; zero where there is none.
    pub(crate) const fn parts(self) -> (i64, i64) {
        match self {
            Self::Wallet(user) => (user.get(), 0),
            Self::Fee { team, member } => (team, member.get()),
            Self::Held(id) | Self::Income(id) | Self::Payout(id) => (id, 0),
            Self::Platform | Self::Outside(_) => (0, 0),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Fee { team, member } => write!(f, "{kind}:{team}:{}", member.get()),
            Self::Platform => f.write_str(kind),
            Self::Outside(outside) => write!(f, "{kind}:{}", outside.as_str()),
            Self::Wallet(_) | Self::Held(_) | Self::Income(_) | Self::Payout(_) => {
                write!(f, "{kind}:{}", self.parts().0)
            }
        }
    }
}

/// The text is no account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no account")]
pub struct NoAccount;

impl FromStr for Account {
    type Err = NoAccount;

    fn from_str(text: &str) -> Result<Self, NoAccount> {
        let parsed = match text.split_once(':') {
            None => (text == "platform").then_some(Self::Platform),
            Some(("outside", word)) => Outside::from_word(word).map(Self::Outside),
            Some(("fee", parts)) => parts.split_once(':').and_then(|(team, member)| {
                Some(Self::Fee {
                    team: team.parse().ok()?,
                    member: UserId::from_database(member.parse().ok()?),
                })
            }),
            Some((kind, id)) => id.parse().ok().and_then(|id| match kind {
                "wallet" => Some(Self::Wallet(UserId::from_database(id))),
                "held" => Some(Self::Held(id)),
                "income" => Some(Self::Income(id)),
                "payout" => Some(Self::Payout(id)),
                _ => None,
            }),
        };
        // A text with signs or leading zeros would be a second key of the account.
        parsed
            .filter(|account| account.to_string() == text)
            .ok_or(NoAccount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_has_one_text() {
        let member = UserId::from_database(12);
        let mut accounts = vec![
            Account::Wallet(member),
            Account::Fee { team: 4, member },
            Account::Held(7),
            Account::Income(4),
            Account::Payout(4),
            Account::Platform,
        ];
        accounts.extend(Outside::ALL.map(Account::Outside));
        for account in accounts {
            assert_eq!(account.to_string().parse(), Ok(account));
        }
        for text in [
            "",
            "wallet",
            "wallet:",
            "wallet:x",
            "wallet:012",
            "wallet:+12",
            "fee:4",
            "fee:4:012",
            "outside:x",
            "platform:1",
            "cash:1",
        ] {
            assert_eq!(text.parse::<Account>(), Err(NoAccount), "{text}");
        }
    }
}
