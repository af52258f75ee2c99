//! The sentences of the terminal chat in Chinese and English; here those about a conversation.

mod commands;
mod content;
mod deadlines;
mod notices;

use proto::wire::{Entry, EntryKind, Role, entry::Event};

/// The language of this program's sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    #[value(name = "zh")]
    Chinese,
    #[value(name = "en")]
    English,
}

impl Language {
    /// Reads LC_ALL, LC_MESSAGES or LANG; the first that is set decides.
    pub(super) fn of_environment() -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty());
        match set {
            Some(value) if value.starts_with("zh") => Self::Chinese,
            _ => Self::English,
        }
    }

    /// The BCP 47 tag of the language, for the node.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }

    fn pick(self, chinese: &str, english: &str) -> String {
        match self {
            Self::Chinese => chinese.to_owned(),
            Self::English => english.to_owned(),
        }
    }

    /// A role, as shown behind a name.
    pub(super) fn role(self, role: Role) -> String {
        match role {
            Role::Patient => self.pick("患者", "patient"),
            Role::Doctor => self.pick("医生", "doctor"),
            Role::Assistant => self.pick("群助手", "assistant"),
            Role::Peer | Role::Unspecified => self.pick("用户", "user"),
        }
    }

    /// A user's name, with their role if they have one, and with what else distinguishes them.
    pub(super) fn user(self, name: &str, role: Role, more: &str) -> String {
        let role = match role {
            Role::Peer | Role::Unspecified => String::new(),
            role => self.role(role),
        };
        let details: Vec<&str> = [role.as_str(), more]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        match (self, details.is_empty()) {
            (_, true) => name.to_owned(),
            (Self::Chinese, false) => format!("{name}（{}）", details.join("，")),
            (Self::English, false) => format!("{name} ({})", details.join(", ")),
        }
    }

    /// The title of a conversation without its own, from its participants' names.
    pub(super) fn between(self, names: &[String]) -> String {
        match self {
            Self::Chinese => names.join("、"),
            Self::English => names.join(", "),
        }
    }

    fn status(self, status: &str) -> String {
        match status {
            "waiting" => self.pick("等待医生", "waiting"),
            "in_process" => self.pick("进行中", "in process"),
            "finished" => self.pick("已结束", "finished"),
            "cancelled" => self.pick("已取消", "cancelled"),
            other => other.to_owned(),
        }
    }

    pub(super) fn title(self, id: i64, title: &str, open: bool) -> String {
        let state = self.openness(open);
        match self {
            Self::Chinese => format!("── {title} · 会话 {id} · {state} ──"),
            Self::English => format!("── {title} · conversation {id} · {state} ──"),
        }
    }

    fn openness(self, open: bool) -> String {
        if open {
            self.pick("可发言", "open")
        } else {
            self.pick("只读", "read-only")
        }
    }

    /// The sentence about an event; `None` for a kind newer than this program.
    pub(super) fn event(self, entry: &Entry, who: &str, about: &str) -> Option<String> {
        let kind = EntryKind::try_from(entry.kind).ok()?;
        Some(match (kind, &entry.event) {
            (EntryKind::ParticipantJoined, _) => match self {
                Self::Chinese => format!("{about}加入了会话"),
                Self::English => format!("{about} joined"),
            },
            (EntryKind::ParticipantLeft, _) => match self {
                Self::Chinese => format!("{about}离开了会话"),
                Self::English => format!("{about} left"),
            },
            (EntryKind::StatusChanged, Some(Event::Status(status))) => {
                let charge = self.charge(&status.charge_state, status.price_fen);
                let cause = self.cause(&status.cause);
                let status = self.status(&status.status);
                match self {
                    Self::Chinese => format!("咨询状态：{status}{cause}{charge}"),
                    Self::English => format!("the consult is {status}{cause}{charge}"),
                }
            }
            (EntryKind::Recalled, _) => match self {
                Self::Chinese => format!("{who}撤回了第 {} 条", entry.corrects_seq),
                Self::English => format!("{who} recalled message {}", entry.corrects_seq),
            },
            (
                EntryKind::VasProposed
                | EntryKind::VasConfirmed
                | EntryKind::VasDeclined
                | EntryKind::VasWithdrawn,
                Some(Event::Vas(vas)),
            ) => {
                let did = match kind {
                    EntryKind::VasProposed => self.pick("提出", "proposed"),
                    EntryKind::VasConfirmed => self.pick("确认", "confirmed"),
                    EntryKind::VasDeclined => self.pick("拒绝", "declined"),
                    _ => self.pick("撤回", "withdrew"),
                };
                let price = yuan(vas.price_fen);
                match self {
                    Self::Chinese => format!("{who}{did}了增值服务：{}，{price}", vas.name),
                    Self::English => format!("{who} {did} a value-added service: {}, {price}", vas.name),
                }
            }
            (EntryKind::CallStarted, _) => match self {
                Self::Chinese => format!("{who}发起了通话"),
                Self::English => format!("{who} started a call"),
            },
            (EntryKind::CallEnded, _) => self.pick("通话结束", "the call ended"),
            (EntryKind::MediaReady, _) => self.pick("文件已可查看", "an upload is ready"),
            (EntryKind::Refunded, Some(Event::Refund(refund))) => {
                let (amount, vas) = (yuan(refund.amount_fen), refund.vas_id);
                match (self, vas) {
                    (Self::Chinese, 0) => format!("咨询费已退款 {amount}"),
                    (Self::Chinese, _) => format!("增值服务 {vas} 已退款 {amount}"),
                    (Self::English, 0) => format!("{amount} of the consult's price was refunded"),
                    (Self::English, _) => {
                        format!("{amount} of the price of value-added service {vas} was refunded")
                    }
                }
            }
            _ => return None,
        })
    }

    /// Why a consult changed without a request.
    fn cause(self, cause: &str) -> String {
        match cause {
            "silence" => self.pick("（多日没有新消息）", " (nothing was written for days)"),
            "closed" => self.pick("（团队已停止服务）", " (its team was closed)"),
            _ => String::new(),
        }
    }

    /// The end of a sentence about a consult's state: what became of its price.
    fn charge(self, state: &str, price_fen: i64) -> String {
        let price = yuan(price_fen);
        match state {
            "held" => self.pick(&format!("，已支付 {price}"), &format!("; {price} was paid")),
            "earned" => self.pick(
                &format!("，{price} 已计入团队收入"),
                &format!("; the team earned {price}"),
            ),
            "returned" => self.pick(&format!("，{price} 已退回"), &format!("; {price} was returned")),
            _ => String::new(),
        }
    }

    /// A user without a known name.
    pub(super) fn unknown_user(self, user_id: i64) -> String {
        match self {
            Self::Chinese => format!("用户 {user_id}"),
            Self::English => format!("user {user_id}"),
        }
    }
}

/// An amount as it is read in China.
fn yuan(fen: i64) -> String {
    format!("¥{}.{:02}", fen / 100, fen % 100)
}
