//! Sentences about commands.

use proto::wire::Conversation;

use super::Language;

const HELP_CHINESE: &str = "\
/help           显示本说明
/who            列出会话参与者
/history        显示更早的消息
/list           列出我的全部会话
/open 编号      切换到另一个会话
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
