//! A newcomer's first minute, with a crash in it.

use serde_json::json;

use crate::process::{Places, Running, huizhen, run, text};

#[test]
fn patient_and_doctor_talk_and_go_on_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let places = Places::take();
    let mut demo = Running::start(places.on(huizhen(folder, &["demo"])));
    let line = demo.wait_for("patient.token");
    assert!(
        line.trim_start().contains(" chat data/demo/patient.token"),
        "{line}"
    );
    demo.wait_for("doctor.token");

    let mut patient = Running::start(huizhen(folder, &["chat", "data/demo/patient.token", "--json"]));
    let mut doctor = Running::start(huizhen(folder, &["chat", "data/demo/doctor.token", "--json"]));
    let synced = |event: &serde_json::Value| event["event"] == "synced";
    patient.wait_for_event("synced", synced);
    doctor.wait_for_event("synced", synced);

    let says = |text: &'static str| {
        move |event: &serde_json::Value| event["event"] == "entry" && event["text"] == text
    };
    patient.type_line("头痛三天了");
    doctor.wait_for_event("the first message", says("头痛三天了"));
    doctor.type_line(r#"{"text": "发烧吗？"}"#);
    let answer = patient.wait_for_event("the answer", says("发烧吗？"));

    demo.signal("KILL");
    assert_eq!(demo.end(), None, "killed");
    patient.wait_for_event("disconnected", |event| event["event"] == "disconnected");
    // Typed while nobody is there.
    patient.type_line("没有发烧");

    let mut demo = Running::start(places.on(huizhen(folder, &["demo"])));
    demo.wait_for("doctor.token");

    let entry = doctor.wait_for_event("the message after the crash", says("没有发烧"));
    assert_eq!(entry["seq"], json!(answer["seq"].as_i64().unwrap() + 1));
    patient.end_input();
    assert_eq!(patient.end(), Some(0));
    doctor.end_input();
    assert_eq!(doctor.end(), Some(0));

    // Everything is there, once, for one who comes new.
    let late = run(huizhen(folder, &["chat", "data/demo/patient.token"]), "");
    let shown = text(&late.stdout);
    assert!(late.status.success(), "{}", text(&late.stderr));
    for said in [
        "张女士 (patient): 头痛三天了",
        "李医生 (doctor): 发烧吗？",
        "张女士 (patient): 没有发烧",
        "李医生 (doctor) joined",
    ] {
        assert_eq!(shown.matches(said).count(), 1, "{said} in\n{shown}");
    }

    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));
}

#[test]
fn a_doctor_sees_the_patients_name_and_chinese_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Running::start(huizhen(folder.path(), &["demo"]));
    demo.wait_for("doctor.token");
    let output = run(
        huizhen(folder.path(), &["chat", "data/demo/patient.token"]),
        "您好\n",
    );
    assert!(text(&output.stdout).contains("✓ "), "{}", text(&output.stdout));
    let mut chat = huizhen(folder.path(), &["chat", "data/demo/doctor.token"]);
    chat.env("LANG", "zh_CN.UTF-8");
    let shown = text(&run(chat, "").stdout);
    for said in ["产科示范团队 · 会话", "张女士（患者）: 您好", "咨询状态：进行中"]
    {
        assert!(shown.contains(said), "{said} in\n{shown}");
    }
    let refused = run(
        huizhen(
            folder.path(),
            &["chat", "data/demo/patient.token", "--conversation", "987654"],
        ),
        "",
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("no conversation 987654"),
        "{}",
        text(&refused.stderr)
    );
    let refused = run(
        huizhen(folder.path(), &["chat", "data/demo/patient.token", "--json"]),
        "{\"txt\": 1}\n",
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stdout).contains("input_error"),
        "{}",
        text(&refused.stdout)
    );
    demo.signal("INT");
    assert_eq!(demo.end(), Some(0));
}

#[test]
fn the_demo_stays_on_loopback_and_says_which_port_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = huizhen(folder.path(), &["demo"]);
    command.env("HUIZHEN_REST_ADDR", "0.0.0.0:0");
    let output = run(command, "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("loopback only"),
        "{}",
        text(&output.stderr)
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(huizhen(folder.path(), &["demo", "--im-addr", &address]), "");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.contains(&address) && told.contains("in use") && told.contains("--im-addr"),
        "{told}"
    );
}
