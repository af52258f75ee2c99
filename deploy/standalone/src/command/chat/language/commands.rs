//! Sentences about commands.

use proto::wire::Conversation;

use super::{super::attachments::Problem, Language, content::size};

const HELP_CHINESE: &str = "\
/help           显示本说明
/who            列出会话参与者
/history        显示更早的消息
/list           列出我的全部会话
/open 编号      切换到另一个会话
/send 文件      上传一个文件并发送
/save 号 [文件] 保存一条消息里的图片、语音或文件；消息的号写在它后面，如 #5
/resume         被同一设备的另一个窗口暂停后，切回这里
/quit           退出，也可按 Ctrl-D
//文字          发送以一个斜杠开头的文字
方向键移动光标、翻看输入过的行，Alt-回车换行，Ctrl-L 重画屏幕";

const HELP_ENGLISH: &str = "\
/help           show this help
/who            list the participants
/history        show older messages
/list           list my conversations
/open NUMBER    switch to another conversation
/send FILE      upload a file and send it
/save SEQ [FILE]
                save the pictures, voice or file of a message; its SEQ stands behind it, as in #5
/resume         continue here after another window of the same device has paused this one
/quit           leave, like Ctrl-D
//text          send a text that begins with one slash
Arrow keys move the cursor and recall earlier lines, Alt-Enter breaks a line, Ctrl-L redraws the screen";

impl Language {
    pub(in super::super) fn help(self) -> String {
        self.pick(HELP_CHINESE, HELP_ENGLISH)
    }

    /// Shown under the first title.
    pub(in super::super) fn hint(self) -> String {
        self.pick(
            "── 输入一行，按回车发送；/help 查看命令，Ctrl-D 退出 ──",
            "── type a line and press Enter to send it; /help lists the commands, Ctrl-D leaves ──",
        )
    }

    pub(in super::super) fn unknown_command(self, line: &str) -> String {
        match self {
            Self::Chinese => {
                format!("没有命令 {line}，什么也没有发送。/help 列出命令；要发送这行文字，请输入 /{line}")
            }
            Self::English => format!(
                "{line} is not a command, and nothing was sent: /help lists the commands, /{line} sends it as text"
            ),
        }
    }

    pub(in super::super) fn number_needed(self) -> String {
        self.pick(
            "请输入会话编号，例如 /open 12；/list 列出会话",
            "name a conversation, as in /open 12; /list lists them",
        )
    }

    pub(in super::super) fn file_needed(self) -> String {
        self.pick(
            "请输入文件，例如 /send 照片.jpg",
            "name a file, as in /send photo.jpg",
        )
    }

    pub(in super::super) fn seq_needed(self) -> String {
        self.pick(
            "请输入消息的号，例如 /save 5 或 /save 5 照片.jpg",
            "name a message, as in /save 5 or /save 5 photo.jpg",
        )
    }

    pub(in super::super) fn too_many_files(self) -> String {
        self.pick(
            "前面的文件还在传输，请稍候",
            "earlier files are still on their way; one moment",
        )
    }

    pub(in super::super) fn uploading(self, file: &str) -> String {
        match self {
            Self::Chinese => format!("── 正在上传 {file} ──"),
            Self::English => format!("── uploading {file} ──"),
        }
    }

    pub(in super::super) fn saved(self, uri: &str, file: &str, bytes: u64) -> String {
        let size = size(bytes);
        match self {
            Self::Chinese => format!("── 已保存 {uri} 到 {file}（{size}）──"),
            Self::English => format!("── saved {uri} as {file} ({size}) ──"),
        }
    }

    pub(in super::super) fn problem(self, problem: &Problem) -> String {
        match problem {
            Problem::NoFile => self.pick("没有这个文件", "there is no such file"),
            Problem::TooLarge => self.pick("文件超过 100 MiB", "the file is over 100 MiB"),
            Problem::NoAnswer => self.needs_connection(),
            Problem::NoEntry => self.pick("会话里没有这条消息", "the conversation has no such message"),
            Problem::NoMedia => self.pick(
                "这条消息里没有图片、语音或文件",
                "the message has no picture, voice or file",
            ),
            Problem::Elsewhere(uri) => match self {
                Self::Chinese => format!("{uri} 不在本服务上"),
                Self::English => format!("{uri} is not of this service"),
            },
            Problem::Other(cause) => cause.clone(),
        }
    }

    /// A file that was not sent, or media that were not saved.
    pub(in super::super) fn file_failed(self, what: &str, cause: &str) -> String {
        match self {
            Self::Chinese => format!("✗ 文件未传输：{what}（{cause}）"),
            Self::English => format!("✗ the file was not transferred: {what} ({cause})"),
        }
    }

    pub(in super::super) fn listed(self, conversation: &Conversation, title: &str) -> String {
        let id = conversation.conversation_id;
        let state = self.openness(conversation.open);
        format!("{id:>6}  {title} · {state}")
    }

    /// Follows the user's own name.
    pub(in super::super) fn yourself(self) -> String {
        self.pick("（您）", " (you)")
    }

    pub(in super::super) fn older(self) -> String {
        self.pick("── 更早的消息 ──", "── older messages ──")
    }

    pub(in super::super) fn up_to_here(self) -> String {
        self.pick("── 以上是更早的消息 ──", "── older messages end here ──")
    }

    pub(in super::super) fn nothing_older(self) -> String {
        self.pick("没有更早的消息了", "there are no older messages")
    }

    pub(in super::super) fn needs_connection(self) -> String {
        self.pick("现在没有连接，稍后再试", "not connected; try again later")
    }

    pub(in super::super) fn being_opened(self) -> String {
        self.pick("正在打开会话，请稍候", "the conversation is opening; one moment")
    }
}
