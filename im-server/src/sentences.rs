//! Sentences for users, in each language. Those of the journal and of the MIME registry stand beside their rules.

use std::time::Duration;

use proto::{Sentence, frame::FrameTooLong};

const fn sentence(en: &'static str, zh: &'static str) -> Sentence {
    Sentence::new(en, zh)
}

// Ends of connections.

pub(crate) const STOPPING: Sentence = sentence("the node is stopping", "服务节点正在停机，请稍后重新连接");
pub(crate) const TOO_MANY_CONNECTIONS: Sentence = sentence(
    "too many connections from this address",
    "来自该地址的连接过多，请稍后重试",
);
pub(crate) const TOO_MANY_LOGINS: Sentence = sentence("too many logins at once", "当前登录过多，请稍后重试");
pub(crate) const TOO_MANY_SESSIONS: Sentence = sentence(
    "this user has too many sessions on this node",
    "该用户在此服务节点上的会话过多，请稍后重试",
);
pub(crate) const FULL: Sentence = sentence("this node is full", "该服务节点已满，请稍后重试");
pub(crate) const CANNOT_CHECK: Sentence =
    sentence("logins cannot be verified now", "暂时无法验证登录，请稍后重试");
pub(crate) const NOT_COMPLETED: Sentence =
    sentence("the login could not be completed", "登录未能完成，请稍后重试");
pub(crate) const NOT_READ: Sentence = sentence(
    "the app did not read its frames",
    "应用未及时接收数据，连接已断开",
);
pub(crate) const ANSWERS_NOT_READ: Sentence = sentence(
    "the app did not read its answers",
    "应用未及时接收应答，连接已断开",
);
pub(crate) const SILENT: Sentence = sentence(
    "no frame arrived for 2.5 heartbeats",
    "长时间未收到应用的数据，连接已断开",
);
pub(crate) const TOO_MANY_REFUSED: Sentence = sentence(
    "too many messages were refused: log in again and resend them in order",
    "未能发送的消息过多，请重新登录后按原顺序重发",
);
pub(crate) const CANNOT_FEED: Sentence = sentence(
    "missed entries cannot be read now: reconnect and Sync",
    "暂时无法读取错过的消息，请重新连接后同步",
);
pub(crate) const EXPIRED: Sentence = sentence(
    "the IM password has expired: get a new one",
    "IM 密码已过期，请重新获取",
);
pub(crate) const WRONG_PASSWORD: Sentence = sentence(
    "wrong user, device or password: get a new one from /im/password",
    "用户、设备或密码不正确，请通过 /im/password 重新获取密码",
);
pub(crate) const TOO_MANY_ATTEMPTS: Sentence = sentence(
    "too many failed logins from this address",
    "该地址登录失败次数过多，请稍后重试",
);
pub(crate) const REPLACED: Sentence = sentence(
    "this device has logged in again elsewhere",
    "此设备已在别处重新登录",
);
pub(crate) const LOGGED_OUT: Sentence = sentence("this device was logged out", "此设备已退出登录");
pub(crate) const APP_LOGGED_OUT: Sentence = sentence("the app has logged out", "已退出登录");
pub(crate) const DISABLED: Sentence = sentence("the account is disabled", "账号已停用");
pub(crate) fn no_login(limit: Duration) -> Sentence {
    let limit_s = limit.as_secs();
    Sentence::formatted(
        format!("no complete Login arrived within {limit_s} s"),
        format!("{limit_s} 秒内未收到完整的 Login"),
    )
}

pub(crate) const LOGIN_FIRST: Sentence = sentence("the first frame must be Login", "第一帧必须是 Login");
pub(crate) const NOT_PROTOBUF: Sentence = sentence(
    "the frame is not a valid ClientFrame",
    "收到的数据不是有效的 ClientFrame",
);

pub(crate) fn frame_too_long(long: FrameTooLong) -> Sentence {
    let FrameTooLong { length, limit } = long;
    Sentence::formatted(
        format!("a frame of {length} bytes exceeds the limit of {limit} bytes"),
        format!("帧长 {length} 字节，超过上限 {limit} 字节"),
    )
}

pub(crate) fn other_version(ours: u32, theirs: u32) -> Sentence {
    Sentence::formatted(
        format!("this node supports protocol_version {ours}, not {theirs}: update the app"),
        format!("该服务节点支持的 protocol_version 为 {ours}，不支持 {theirs}，请更新应用"),
    )
}

/// A field of Login of a wrong length.
pub(crate) fn bytes_of_login(field: &str, least: usize, most: usize, bytes: usize) -> Sentence {
    Sentence::formatted(
        format!("Login: {field} must be {least} to {most} bytes long, not {bytes}"),
        format!("Login 的 {field} 须为 {least} 至 {most} 字节，实际为 {bytes} 字节"),
    )
}

pub(crate) const LOGIN_USER_ID: Sentence = sentence(
    "Login: user_id must be a user id issued by REST",
    "Login 的 user_id 须为 REST 返回的用户 ID",
);

// Requests that fail.

pub(crate) const UNKNOWN_REQUEST: Sentence = sentence(
    "this node does not support this request; the app may be newer than the node",
    "该服务节点不支持此请求，应用版本可能高于服务节点",
);
pub(crate) const LOGGED_IN_ALREADY: Sentence = sentence(
    "this connection is already logged in",
    "此连接已登录，不能再次登录",
);
pub(crate) const NO_CALLS: Sentence =
    sentence("this node does not support calls", "该服务节点不支持音视频通话");
pub(crate) const UNAVAILABLE: Sentence = sentence(
    "the service is temporarily unavailable; retry after retry_after_ms",
    "服务暂时不可用，请稍后重试",
);
pub(crate) const SYNCED_PARTLY: Sentence = sentence(
    "some conversations cannot be read now, all others were sent; repeat the Sync after retry_after_ms",
    "部分会话暂时无法读取，其余会话已同步，请稍后重新同步",
);
pub(crate) const RENEW_REFUSED: Sentence = sentence(
    "this is not a password of this user and device: get a new one from /im/password",
    "该密码不属于此用户的此设备，请通过 /im/password 重新获取",
);

pub(crate) fn client_msg_id(most: usize) -> Sentence {
    Sentence::formatted(
        format!("client_msg_id must be 1 to {most} bytes long, without control characters"),
        format!("client_msg_id 须为 1 至 {most} 字节，且不含控制字符"),
    )
}

pub(crate) fn mentions(most: usize) -> Sentence {
    Sentence::formatted(
        format!("mentions must hold at most {most} user ids"),
        format!("mentions 最多为 {most} 个用户 ID"),
    )
}

pub(crate) const REPLY_TO_SEQ: Sentence = sentence(
    "reply_to_seq must be the seq of an entry, or 0",
    "reply_to_seq 须为会话中一条内容的 seq，或为 0",
);
pub(crate) const CORRECTS_SEQ: Sentence = sentence(
    "corrects_seq must be the seq of your own message, or 0",
    "corrects_seq 须为您本人一条消息的 seq，或为 0",
);
pub(crate) const SEQ_OF_MESSAGE: Sentence =
    sentence("seq must be the seq of a message", "seq 须为一条消息的 seq");

pub(crate) fn not_negative(field: &str) -> Sentence {
    Sentence::formatted(
        format!("{field} must not be negative"),
        format!("{field} 不能为负数"),
    )
}

pub(crate) fn beyond_newest(seq: proto::Seq, newest: proto::Seq) -> Sentence {
    Sentence::formatted(
        format!("seq is {seq}, but the newest entry is {newest}"),
        format!("seq 为 {seq}，而最新一条是 {newest}"),
    )
}

pub(crate) fn limit(asked: u32, most: u32) -> Sentence {
    Sentence::formatted(
        format!("limit must be at most {most}, not {asked}"),
        format!("limit 最大为 {most}，实际为 {asked}"),
    )
}

pub(crate) const BEFORE_OR_AFTER: Sentence = sentence(
    "set either before_seq or after_seq, not both",
    "before_seq 与 after_seq 只能填写一个",
);

pub(crate) fn too_many_users(asked: usize, most: usize) -> Sentence {
    Sentence::formatted(
        format!("user_ids must hold at most {most} user ids, not {asked}"),
        format!("user_ids 最多为 {most} 个用户 ID，实际为 {asked} 个"),
    )
}

pub(crate) const PART_BOUNDS: Sentence = sentence(
    "from_conversation_id must be less than before_conversation_id",
    "from_conversation_id 须小于 before_conversation_id",
);

pub(crate) fn parts_in_order(before: i64, next: i64) -> Sentence {
    Sentence::formatted(
        format!(
            "the parts of a Sync must be contiguous: before_conversation_id is {before}, but the next part begins at {next}"
        ),
        format!("Sync 的各部分须首尾相接：before_conversation_id 为 {before}，而下一部分从 {next} 开始"),
    )
}

pub(crate) fn outside_part(conversation: i64) -> Sentence {
    Sentence::formatted(
        format!("items: conversation {conversation} is outside this part"),
        format!("items 中的会话 {conversation} 不在本部分的范围内"),
    )
}
