//! A person at a terminal: what they type, what they see, and what the other one gets.

use std::path::Path;

use serde_json::{Value, json};
use testkit::postgres::{Options, Postgres};

use super::terminal::Terminal;
use crate::process::{Places, Running, huizhen};

/// The key that deletes to the left.
const BACKSPACE: &str = "\x7f";
const ENTER: &str = "\r";
const LEFT: &str = "\x1b[D";
const UP: &str = "\x1b[A";
const CONTROL_C: &str = "\x03";
const CONTROL_D: &str = "\x04";

fn demo(folder: &Path) -> Running {
    let mut demo = Running::start(huizhen(folder, &["demo"]));
    demo.wait_for("doctor.token");
    demo
}

/// The patient at a terminal, in Chinese.
fn patient(folder: &Path, columns: u16, rows: u16) -> Terminal {
    let mut command = huizhen(folder, &["chat", "data/demo/patient.token"]);
    command.env("LANG", "zh_CN.UTF-8");
    let mut terminal = Terminal::start(&command, columns, rows);
    terminal.wait_for("/help");
    terminal
}

/// The doctor, as a program hears them.
fn doctor(folder: &Path) -> Running {
    let mut doctor = Running::start(huizhen(folder, &["chat", "data/demo/doctor.token", "--json"]));
    doctor.wait_for_event("synced", |event| event["event"] == "synced");
    doctor
}

/// The next message that the doctor gets.
fn next_message(doctor: &mut Running) -> (String, i64) {
    let entry = doctor.wait_for_event("a message", |event| {
        event["event"] == "entry" && event["text"].is_string()
    });
    (
        entry["text"].as_str().unwrap().to_owned(),
        entry["seq"].as_i64().unwrap(),
    )
}

fn stop(demo: Running) {
    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));
}

#[test]
fn what_is_seen_is_what_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo = demo(folder);
    let mut doctor = doctor(folder);
    let mut patient = patient(folder, 60, 24);

    patient.keys("体温三十九度");
    patient.keys(&BACKSPACE.repeat(3));
    patient.keys("八度");
    patient.wait_for_end(&["> 体温三八度"]);
    patient.keys(ENTER);
    let (text, first) = next_message(&mut doctor);
    assert_eq!(text, "体温三八度");
    patient.wait_until("the own line, with its name, and no other", |rows| {
        let end = rows.iter().rev().take(2).collect::<Vec<_>>();
        end[0] == ">" && end[1].ends_with("张女士（患者）: 体温三八度")
    });
    assert_eq!(patient.count("体温三八度"), 1, "{:?}", patient.rows());

    patient.keys(&format!("三十八度{LEFT}{LEFT}{BACKSPACE}{LEFT}约{ENTER}"));
    patient.keys(&format!("{UP}{UP}。{ENTER}"));
    patient.keys(&format!("写错了{CONTROL_C}"));
    // A paste is one message, and neither its end nor its keys steer anything.
    patient.keys(&format!("\x1b[200~一\r\n二\x1b[A\x1b[201~{ENTER}"));
    for line in [
        "/help",
        "/nope",
        "/who",
        "/list",
        "/quit now",
        "/open",
        "/open 987654",
        "/resume",
    ] {
        patient.keys(&format!("{line}{ENTER}"));
    }
    patient.wait_for("没有命令 /nope");
    patient.wait_for("张女士（患者）（您）");
    patient.wait_for("没有会话 987654");
    patient.keys(&format!("//quit 是文字{ENTER}"));
    let texts: Vec<(String, i64)> = (0..4).map(|_| next_message(&mut doctor)).collect();
    let wanted = ["约三八度", "体温三八度。", "一\n二[A", "/quit 是文字"];
    for (number, (text, seq)) in texts.iter().enumerate() {
        assert_eq!(text, wanted[number]);
        assert_eq!(*seq, first + 1 + number as i64, "nothing was sent between");
    }
    patient.wait_until("everything is acknowledged", |rows| {
        rows.iter().any(|row| row.ends_with(": /quit 是文字"))
            && !rows.iter().any(|row| row.contains("等待送达"))
    });
    patient.keys(&format!("/quit{ENTER}"));
    assert_eq!(patient.end(), Some(0));
    doctor.end_input();
    assert_eq!(doctor.end(), Some(0));
    stop(demo);
}

#[test]
fn what_comes_stands_above_what_is_typed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo = demo(folder);
    let mut doctor = doctor(folder);
    let mut patient = patient(folder, 40, 20);

    patient.keys("孩子从昨天晚上开始发烧，一直咳嗽，今天早上体温三十九度");
    let typed = ["> 孩子从昨天晚上开始发烧，一直咳嗽，今", "  天早上体温三十九度"];
    patient.wait_for_end(&typed);
    let steering = json!({"text": "多喝水\u{1b}[2J\u{9b}2J\n09:00 张女士（患者）: 好"}).to_string();
    doctor.type_line(&steering);
    doctor.type_line("还有别的症状吗？");
    patient.wait_for("李医生（医生）: 还有别的症状吗？");
    patient.wait_for_end(&typed);
    assert_eq!(patient.cursor().1, 20, "{:?}", patient.rows());
    let rows = patient.rows();
    assert!(rows[0].contains("产科示范团队"), "nothing was cleared: {rows:?}");
    assert!(
        rows.iter().any(|row| row.contains("多喝水<U+001B>[2")),
        "{rows:?}"
    );
    assert!(
        rows.iter().any(|row| row.starts_with("      09:00 张女士")),
        "a line in another's name is indented: {rows:?}"
    );

    patient.resize(24, 20);
    patient.wait_for_end(&[
        "> 孩子从昨天晚上开始发",
        "  烧，一直咳嗽，今天早",
        "  上体温三十九度",
    ]);
    doctor.type_line("好的");
    patient.wait_for("李医生（医生）: 好");
    // Neither a key nor a size is lost when both come together.
    for columns in 60..=80 {
        patient.resize(columns, 20);
        patient.keys("。");
        patient.resize(columns, 21);
        patient.keys(BACKSPACE);
    }
    patient.keys("。");
    patient.wait_for_end(&["> 孩子从昨天晚上开始发烧，一直咳嗽，今天早上体温三十九度。"]);
    assert_eq!(patient.count("> 孩子"), 1, "{:?}", patient.rows());
    patient.keys(ENTER);
    let sent = |event: &Value| {
        event["event"] == "entry"
            && event["text"] == "孩子从昨天晚上开始发烧，一直咳嗽，今天早上体温三十九度。"
    };
    doctor.wait_for_event("the whole text", sent);
    patient.wait_for_end(&[">"]);
    patient.keys(CONTROL_D);
    assert_eq!(patient.end(), Some(0));
    stop(demo);
}

#[test]
fn a_restart_is_two_quiet_lines_and_one_try_with_a_forgotten_password() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let places = Places::take();
    let mut demo = Running::start(places.on(huizhen(folder, &["demo"])));
    demo.wait_for("doctor.token");
    let mut doctor = doctor(folder);
    let mut patient = patient(folder, 70, 24);

    demo.signal("KILL");
    assert_eq!(demo.end(), None, "killed");
    patient.wait_for("连接已断开");
    patient.keys(&format!("没有发烧{ENTER}还在"));
    patient.wait_for_end(&["（等待送达）没有发烧", "> 还在"]);
    let demo = Running::start(places.on(huizhen(folder, &["demo"])));

    let mut tried = Vec::new();
    doctor.wait_for_event("synced again", |event| {
        tried.push(event.clone());
        event["event"] == "synced"
    });
    let forgotten: Vec<usize> = (0..tried.len())
        .filter(|at| tried[*at]["word"] == "auth_failed")
        .collect();
    assert_eq!(forgotten.len(), 1, "{tried:?}");
    assert_eq!(tried[forgotten[0] + 1]["retry_in_ms"], 0, "{tried:?}");
    assert_eq!(tried[forgotten[0] + 2]["event"], "connected", "{tried:?}");
    for wait in tried.iter().filter_map(|event| event["retry_in_ms"].as_u64()) {
        assert!(wait <= 1500, "{tried:?}");
    }

    patient.wait_for("已重新连接");
    patient.wait_until("the line that waited", |rows| {
        rows.iter().any(|row| row.ends_with("张女士（患者）: 没有发烧")) && rows.last().unwrap() == "> 还在"
    });
    for once in ["连接已断开", "已重新连接", "没有发烧"] {
        assert_eq!(patient.count(once), 1, "{:?}", patient.rows());
    }
    // The Sync of the doctor may have brought it already.
    if !tried.iter().any(|event| event["text"] == "没有发烧") {
        assert_eq!(next_message(&mut doctor).0, "没有发烧");
    }
    patient.keys(&format!("{CONTROL_C}{CONTROL_C}"));
    assert_eq!(patient.end(), Some(0));
    stop(demo);
}

#[test]
fn the_second_chat_of_a_token_pauses_the_first_which_can_take_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo = demo(folder);
    let mut doctor = doctor(folder);
    let mut first = patient(folder, 70, 24);
    let mut second = Running::start(huizhen(folder, &["chat", "data/demo/patient.token", "--json"]));
    second.wait_for_event("synced", |event| event["event"] == "synced");
    first.wait_for("这里已暂停");
    first.keys(&format!("暂停时写的{ENTER}"));
    first.wait_for_end(&["（等待送达）暂停时写的", ">"]);
    second.type_line("第二个窗口");
    assert_eq!(next_message(&mut doctor).0, "第二个窗口");

    first.keys(&format!("/resume{ENTER}"));
    second.wait_for_event("bye", |event| event["word"] == "replaced");
    assert_eq!(second.end(), Some(1));
    assert_eq!(next_message(&mut doctor).0, "暂停时写的");
    first.wait_until("both messages, each once", |rows| {
        let count = |text: &str| rows.iter().filter(|row| row.ends_with(text)).count();
        count("张女士（患者）: 第二个窗口") == 1 && count("张女士（患者）: 暂停时写的") == 1
    });
    first.wait_for_end(&[">"]);
    first.keys(CONTROL_D);
    assert_eq!(first.end(), Some(0));
    stop(demo);
}

#[test]
fn what_the_server_cannot_store_waits_and_its_reason_is_one_line() {
    let postgres = Postgres::start(Options::default()).unwrap();
    postgres.create_database("huizhen", None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut command = huizhen(folder, &["demo"]);
    command.env("HUIZHEN_DATABASE_URL", postgres.url("huizhen"));
    let mut demo = Running::start(command);
    demo.wait_for("doctor.token");
    let mut doctor = doctor(folder);
    let mut patient = patient(folder, 100, 24);

    postgres.kill().unwrap();
    patient.keys(&format!("第一句{ENTER}第二句{ENTER}"));
    patient.wait_for("服务器暂时无法保存消息");
    patient.wait_for_end(&["（等待送达）第一句", "（等待送达）第二句", ">"]);
    // Leaving would lose them, so that it has to be asked for twice.
    patient.keys(CONTROL_D);
    patient.wait_for("还有 2 条消息等待送达");
    postgres.start_again().unwrap();
    assert_eq!(next_message(&mut doctor).0, "第一句");
    assert_eq!(next_message(&mut doctor).0, "第二句");
    assert_eq!(patient.end(), Some(0), "it leaves when they are sent");

    let mut patient = self::patient(folder, 100, 24);
    patient.wait_for("张女士（患者）: 第二句");
    postgres.kill().unwrap();
    patient.keys(&format!("第三句{ENTER}"));
    patient.wait_for("服务器暂时无法保存消息");
    patient.keys(CONTROL_D);
    patient.wait_for("还有 1 条消息等待送达");
    assert_eq!(patient.count("服务器暂时无法保存消息"), 1);
    patient.keys(CONTROL_D);
    patient.wait_for("✗ 未确认送达：第三句");
    assert_eq!(patient.end(), Some(1));
    demo.signal("KILL");
}

#[test]
fn another_conversation_is_announced_and_opened() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo = demo(folder);
    let mut doctor = doctor(folder);
    let mut patient = patient(folder, 100, 30);
    let doctor_file = std::fs::read(folder.join("data/demo/doctor.token")).unwrap();
    let doctor_id = serde_json::from_slice::<Value>(&doctor_file).unwrap()["user_id"].clone();
    let patient_file = std::fs::read(folder.join("data/demo/patient.token")).unwrap();
    let access: Value = serde_json::from_slice(&patient_file).unwrap();
    let opened = std::process::Command::new("curl")
        .args(["-sS", "-K"])
        .arg(folder.join("data/demo/patient.curl"))
        .arg(format!("{}/chat", access["api"].as_str().unwrap()))
        .args(["-d", &json!({"user_id": doctor_id}).to_string()])
        .output()
        .unwrap();
    let opened: Value = serde_json::from_slice(&opened.stdout).unwrap();
    let id = opened["result"]["conversation_id"].as_i64().unwrap();

    for text in ["私下问一句", "在吗"] {
        doctor.type_line(&json!({"text": text, "conversation_id": id}).to_string());
    }
    patient.wait_for(&format!("会话 {id}（李医生）有新消息"));
    assert_eq!(patient.count("有新消息"), 1);
    patient.keys(&format!("/open {id}{ENTER}"));
    patient.wait_for(&format!("── 李医生 · 会话 {id} · 可发言 ──"));
    patient.wait_for("李医生: 在吗");
    for once in ["私下问一句", "在吗"] {
        assert_eq!(patient.count(once), 1, "{:?}", patient.rows());
    }
    patient.keys(&format!("在{ENTER}/history{ENTER}"));
    let sent =
        |event: &Value| event["event"] == "entry" && event["text"] == "在" && event["conversation_id"] == id;
    doctor.wait_for_event("the answer, in the other conversation", sent);
    patient.wait_for("没有更早的消息了");
    patient.keys(&format!("/list{ENTER}/open 1{ENTER}/who{ENTER}"));
    patient.wait_for(&format!("{id}  李医生 · 可发言"));
    // A role belongs to a conversation.
    patient.wait_for("李医生（医生）");
    patient.keys(CONTROL_D);
    assert_eq!(patient.end(), Some(0));
    stop(demo);
}

#[test]
fn a_file_is_sent_seen_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo = demo(folder);
    let mut doctor = doctor(folder);
    let mut patient = patient(folder, 100, 40);
    patient.wait_for("[咨询]张女士（本人）：头痛三天，没有发热，手臂起疹子 [图片 media:");
    std::fs::write(folder.join("检查 报告.txt"), "血常规正常").unwrap();

    patient.keys(&format!("/send 检查 报告.txt{ENTER}说明{ENTER}"));
    let named = |event: &Value| event["content"]["name"] == "检查 报告.txt";
    let sent = doctor.wait_for_event("the file", named);
    let seq = sent["seq"].as_i64().unwrap();
    let uri = sent["content"]["uri"].as_str().unwrap();
    patient.wait_for(&format!("[文件 检查 报告.txt 15 B {uri}] #{seq}"));
    patient.keys(&format!("/save {seq} 副本.txt{ENTER}"));
    patient.wait_for(&format!("已保存 {uri} 到 副本.txt（15 B）"));
    assert_eq!(
        std::fs::read(folder.join("副本.txt")).unwrap(),
        "血常规正常".as_bytes()
    );

    for (line, answer) in [
        (format!("/save {seq} 副本.txt"), "✗ 文件未传输："),
        ("/save 1".into(), "这条消息里没有图片、语音或文件"),
        ("/save 987654".into(), "会话里没有这条消息"),
        ("/send 没有.jpg".into(), "没有这个文件"),
        ("/send".into(), "请输入文件"),
        ("/save".into(), "请输入消息的号"),
    ] {
        patient.keys(&format!("{line}{ENTER}"));
        patient.wait_for(answer);
    }
    // A refused file is no message, and leaves nothing behind.
    assert_eq!(
        std::fs::read(folder.join("副本.txt")).unwrap(),
        "血常规正常".as_bytes()
    );
    patient.keys(CONTROL_D);
    assert_eq!(patient.end(), Some(1), "a file was not transferred");
    stop(demo);
}
