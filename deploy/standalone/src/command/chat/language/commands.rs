//! Words for the commands.

use proto::wire::Conversation;

use super::Language;

const HELP_CHINESE: &str = "\
/help           显示这些说明
/who            会话里有谁
/history        再看更早的消息
/list           我的全部会话
/open 编号      切换到另一个会话
/resume         被同一设备的另一个窗口暂停后，切回这里
/quit           退出，也可按 Ctrl-D
//文字          发送以一个斜杠开头的文字
方向键移动光标、翻看输入过的行，Alt-回车换行，Ctrl-L 重画屏幕";

const HELP_ENGLISH: &str = "\
/help           show this
/who            who is in the conversation
/history        show older messages
/list           all my conversations
/open NUMBER    go to another conversation
/resume         come back after another window of the same device has paused this one
/quit           leave; Ctrl-D does so too
//text          send a text that begins with one slash
Arrows move and bring earlier lines back, Alt-Enter breaks a line, Ctrl-L draws the screen anew";

impl Language {
    pub(in super::super) fn help(self) -> String {
        self.pick(HELP_CHINESE, HELP_ENGLISH)
    }

    /// Under the first title.
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
                "{line} is no command, and nothing was sent: /help lists the commands, and /{line} sends it as a text"
            ),
        }
    }

    pub(in super::super) fn number_needed(self) -> String {
        self.pick(
            "请写会话编号，例如 /open 12；/list 列出会话",
            "name a conversation, as in /open 12; /list shows them",
        )
    }

    /// A conversation in a list.
    pub(in super::super) fn listed(self, conversation: &Conversation, title: &str) -> String {
        let id = conversation.conversation_id;
        let state = self.openness(conversation.open);
        format!("{id:>6}  {title} · {state}")
    }

    /// Behind the name of the one who sits here.
    pub(in super::super) fn yourself(self) -> String {
        self.pick("（您）", " (you)")
    }

    pub(in super::super) fn older(self) -> String {
        self.pick("── 更早的消息 ──", "── older ──")
    }

    pub(in super::super) fn up_to_here(self) -> String {
        self.pick("── 以上是更早的消息 ──", "── up to here: older ──")
    }

    pub(in super::super) fn nothing_older(self) -> String {
        self.pick("没有更早的消息了", "there is nothing older")
    }

    pub(in super::super) fn needs_connection(self) -> String {
        self.pick(
            "现在没有连接，稍后再试",
            "there is no connection now; try again later",
        )
    }

    pub(in super::super) fn being_opened(self) -> String {
        self.pick(
            "正在打开会话，请稍候",
            "the conversation is being opened; one moment",
        )
    }
}
