//! The sentences of the terminal chat in Chinese and English; here those about a conversation.

mod commands;
mod notices;

use proto::{
    mime::{self, Form},
    wire::{Entry, EntryKind, Role, entry::Event},
};

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

    /// A user's name, with their role if they have one.
    pub(super) fn user(self, name: &str, role: Role) -> String {
        match (self, role) {
            (_, Role::Peer | Role::Unspecified) => name.to_owned(),
            (Self::Chinese, _) => format!("{name}（{}）", self.role(role)),
            (Self::English, _) => format!("{name} ({})", self.role(role)),
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

    /// The text of a message, or the kind of its media.
    pub(super) fn message(self, entry: &Entry) -> String {
        if entry.recalled {
            return self.pick("（已撤回）", "(recalled)");
        }
        let known = mime::registered(&entry.mime_type).map(|registered| registered.form);
        let what = match known {
            Some(Form::Text) => return String::from_utf8_lossy(&entry.body).into_owned(),
            Some(Form::Image) => self.pick("图片", "image"),
            Some(Form::Audio) => self.pick("语音", "voice"),
            Some(Form::Video) => self.pick("视频", "video"),
            Some(Form::File) => self.pick("文件", "file"),
            Some(Form::Location) => self.pick("位置", "location"),
            Some(Form::Vas) => self.pick("增值服务", "value-added service"),
            Some(Form::Advice) => self.pick("医嘱", "advice"),
            Some(Form::Consult) => self.pick("咨询", "consult"),
            Some(Form::Call) => self.pick("通话", "call"),
            Some(Form::Notice) => self.pick("通知", "notice"),
            None => entry.mime_type.clone(),
        };
        format!("[{what}]")
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
                let status = self.status(&status.status);
                match self {
                    Self::Chinese => format!("咨询状态：{status}"),
                    Self::English => format!("the consult is {status}"),
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
                let price = format!("¥{}.{:02}", vas.price_fen / 100, vas.price_fen % 100);
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
            _ => return None,
        })
    }

    /// A user without a known name.
    pub(super) fn unknown_user(self, user_id: i64) -> String {
        match self {
            Self::Chinese => format!("用户 {user_id}"),
            Self::English => format!("user {user_id}"),
        }
    }
}
