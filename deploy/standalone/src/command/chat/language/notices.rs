//! Sentences about the connection and the fate of messages.

use proto::wire::{self, ByeReason, ErrorCode};

use super::Language;

impl Language {
    pub(in super::super) fn connected_again(self) -> String {
        self.pick("── 已重新连接 ──", "── connected again ──")
    }

    /// The connection is lost; `reason` is that of a Bye, if one came.
    pub(in super::super) fn disconnected(self, reason: Option<i32>) -> String {
        match (self, reason.and_then(|reason| self.reason(reason))) {
            (Self::Chinese, Some(why)) => {
                format!("── 连接已断开：{why}。正在重新连接，未送达的消息会自动重发 ──")
            }
            (Self::Chinese, None) => "── 连接已断开。正在重新连接，未送达的消息会自动重发 ──".into(),
            (Self::English, Some(why)) => {
                format!("── disconnected: {why}; reconnecting, and unsent messages are resent then ──")
            }
            (Self::English, None) => {
                "── disconnected; reconnecting, and unsent messages are resent then ──".into()
            }
        }
    }

    /// The first connection has failed.
    pub(in super::super) fn not_reached(self) -> String {
        self.pick(
            "── 连不上服务器，正在继续尝试 ──",
            "── the server cannot be reached; trying again ──",
        )
    }

    /// Why a node closed the connection; `None` for a reason newer than this program.
    fn reason(self, reason: i32) -> Option<String> {
        Some(match ByeReason::try_from(reason).ok()? {
            ByeReason::Draining => self.pick("服务器正在停机或重启", "the server is being stopped"),
            ByeReason::Overloaded => self.pick("服务器繁忙", "the server is busy"),
            ByeReason::Unavailable => {
                self.pick("服务器暂时无法提供服务", "the server is temporarily unavailable")
            }
            ByeReason::Slow => self.pick("接收消息太慢", "this side read messages too slowly"),
            ByeReason::Idle => self.pick(
                "太久没有收到这一端的信号",
                "the server heard nothing from this side for too long",
            ),
            ByeReason::Expired | ByeReason::AuthFailed => self.pick(
                "连接凭证已失效，正在重新获取",
                "the connection's password has expired and is being renewed",
            ),
            ByeReason::TooManyAttempts => self.pick(
                "本机网络地址的登录失败次数过多，稍后再试",
                "too many failed logins from this address",
            ),
            ByeReason::Replaced => self.pick(
                "同一设备在别处打开了聊天",
                "the same device has opened a chat elsewhere",
            ),
            ByeReason::LoggedOut => self.pick("该设备已退出登录", "the device was logged out"),
            ByeReason::Disabled => self.pick("账号已停用", "the account is disabled"),
            ByeReason::UnsupportedVersion => self.pick(
                "服务器不支持这个版本的客户端，请升级",
                "the server does not support this version of the program; upgrade it",
            ),
            ByeReason::InvalidLogin => self.pick("登录信息不符合要求", "the server rejected the login"),
            _ => return None,
        })
    }

    pub(in super::super) fn replaced(self) -> String {
        self.pick(
            "── 同一设备（同一个 token 文件）在别处打开了聊天，这里已暂停。输入 /resume 可切回这里，/quit 退出 ──",
            "── the same device (the same token file) has opened a chat elsewhere, and this one is paused: /resume \
             continues here, /quit leaves ──",
        )
    }

    pub(in super::super) fn not_replaced(self) -> String {
        self.pick("这里没有被暂停", "this chat is not paused")
    }

    /// The end of the chat, by a Bye or by an error.
    pub(in super::super) fn gone(self, reason: Option<i32>, cause: &str) -> String {
        let why = match reason {
            Some(reason) => self.reason(reason).unwrap_or_else(|| cause.to_owned()),
            // REST has refused the access token.
            None => self.pick("登录已失效，请换用新的 token 文件", cause),
        };
        match self {
            Self::Chinese => format!("连接已结束：{why}"),
            Self::English => format!("the connection has ended: {why}"),
        }
    }

    /// The node cannot store messages now.
    pub(in super::super) fn delayed(self) -> String {
        self.pick(
            "── 服务器暂时无法保存消息（可能磁盘已满或数据库不可用）。消息在等待，会自动重发 ──",
            "── the server cannot store messages now (its disk may be full, or its database unavailable); your messages \
             wait and are resent ──",
        )
    }

    /// A message that the node has refused for good.
    pub(in super::super) fn refused(self, text: &str, error: &wire::Error) -> String {
        let why = self.refusal(error);
        match self {
            Self::Chinese => format!("✗ 未发送：{text}（{why}）"),
            Self::English => format!("✗ not sent: {text} ({why})"),
        }
    }

    fn refusal(self, error: &wire::Error) -> String {
        // A node that knows the session's language explains more; an older one knows English only.
        if self == Self::English || !error.message.is_ascii() {
            return error.message.clone();
        }
        match error.code() {
            ErrorCode::NoAccess => "没有这个会话，或您不在其中".into(),
            ErrorCode::Closed => "会话已结束，只能查看".into(),
            ErrorCode::Forbidden => "您的身份不能这样做".into(),
            ErrorCode::Conflict => "这条消息的编号已被另一条消息占用".into(),
            ErrorCode::Invalid => format!("内容不符合要求：{}", error.message),
            _ => format!("服务器拒绝：{}", error.message),
        }
    }

    /// An unacknowledged message.
    pub(in super::super) fn waiting(self, text: &str) -> String {
        match self {
            Self::Chinese => format!("（等待送达）{text}"),
            Self::English => format!("(waiting) {text}"),
        }
    }

    /// A message that is still unacknowledged at the end.
    pub(in super::super) fn unsent(self, text: &str) -> String {
        match self {
            Self::Chinese => format!("✗ 未确认送达：{text}"),
            Self::English => format!("✗ not acknowledged: {text}"),
        }
    }

    pub(in super::super) fn unanswered(self, count: usize) -> String {
        match self {
            Self::Chinese => format!("有 {count} 条消息没有得到确认"),
            Self::English => format!("messages without an acknowledgement: {count}"),
        }
    }

    pub(in super::super) fn leaves_when_sent(self, count: usize) -> String {
        match self {
            Self::Chinese => format!("── 还有 {count} 条消息等待送达，送达后退出；再退出一次则放弃它们 ──"),
            Self::English => {
                format!(
                    "── messages still waiting: {count}; the chat ends once they are sent; leave again to drop them ──"
                )
            }
        }
    }

    pub(in super::super) fn no_conversation(self, known: &[i64]) -> String {
        let known = self.numbers(known);
        match self {
            Self::Chinese => format!("没有进行中的咨询；用 --conversation 指定会话，您的会话：{known}"),
            Self::English => {
                format!(
                    "you have no open consult; choose a conversation with --conversation, yours are: {known}"
                )
            }
        }
    }

    pub(in super::super) fn not_yours(self, id: i64, known: &[i64]) -> String {
        let known = self.numbers(known);
        match self {
            Self::Chinese => format!("没有会话 {id}；您的会话：{known}"),
            Self::English => format!("you have no conversation {id}; yours are: {known}"),
        }
    }

    fn numbers(self, known: &[i64]) -> String {
        if known.is_empty() {
            return self.pick("无", "none");
        }
        let numbers: Vec<String> = known.iter().map(ToString::to_string).collect();
        self.between(&numbers)
    }

    /// New messages in a conversation that is not shown.
    pub(in super::super) fn news(self, id: i64, title: &str) -> String {
        match self {
            Self::Chinese => format!("── 会话 {id}（{title}）有新消息，输入 /open {id} 查看 ──"),
            Self::English => {
                format!("── new messages in conversation {id} ({title}): /open {id} shows them ──")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers of Chinese see no technical words of the node or the wire.
    #[test]
    fn chinese_is_chinese() {
        for reason in proto::bye::ALL {
            let lines = [
                Language::Chinese.disconnected(Some(reason as i32)),
                Language::Chinese.gone(Some(reason as i32), ""),
            ];
            for line in lines {
                assert!(!line.contains(|c: char| c.is_ascii_alphabetic()), "{line}");
            }
        }
        for code in [
            ErrorCode::NoAccess,
            ErrorCode::Closed,
            ErrorCode::Forbidden,
            ErrorCode::Conflict,
        ] {
            let error = wire::Error {
                code: code.into(),
                message: "the conversation is read-only".into(),
                ..Default::default()
            };
            let line = Language::Chinese.refused("体温", &error);
            assert!(!line.contains(|c: char| c.is_ascii_alphabetic()), "{line}");
            assert!(Language::English.refused("x", &error).contains("is read-only"));
        }
    }
}
