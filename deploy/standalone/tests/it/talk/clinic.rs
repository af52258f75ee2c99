//! A day in a clinic, with the program itself, curl and `chat --json` alone: from a doctor's registration to the numbers after
//! a consult.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::process::{Running, huizhen, run, text};

const PHOTOS: [&[u8]; 3] = [
    include_bytes!("../../../src/command/demo/samples/arm.png"),
    include_bytes!("../../../src/command/demo/samples/back.png"),
    // The licence.
    include_bytes!("../../../src/command/demo/samples/arm.png"),
];

/// A recording of two seconds: frames of 20 ms without sound.
fn voice() -> Vec<u8> {
    [b"#!AMR\n".as_slice(), &[0x7c; 100]].concat()
}

/// The service, as curl sees it.
struct Clinic<'t> {
    folder: &'t Path,
    base: String,
}

/// A device that is logged in; its token file is for the chat.
struct User {
    id: i64,
    token: String,
    file: String,
}

impl Clinic<'_> {
    /// The status and the answer of one call. `more` are further arguments of curl.
    fn curl(&self, user: Option<&User>, method: &str, path: &str, more: &[&str]) -> (u16, Vec<u8>) {
        let mut curl = Command::new("curl");
        let url = format!("{}{path}", self.base);
        curl.current_dir(self.folder);
        curl.args(["-sS", "-X", method, "-o", "answer", "-w", "%{http_code}", &url]);
        if let Some(user) = user {
            curl.args(["-H", &format!("X-AUTH-TOKEN: {}", user.token)]);
        }
        curl.args(more);
        let output = run(curl, "");
        let status = text(&output.stdout).parse();
        let status = status.unwrap_or_else(|_| panic!("{method} {path}: {}", text(&output.stderr)));
        (
            status,
            std::fs::read(self.folder.join("answer")).unwrap_or_default(),
        )
    }

    /// The status and the envelope of one call.
    fn ask(&self, user: Option<&User>, call: &str, body: Option<Value>) -> (u16, Value) {
        let (method, path) = call.split_once(' ').unwrap();
        let body = body.map(|body| body.to_string());
        let (status, answer) = match &body {
            Some(body) => self.curl(
                user,
                method,
                path,
                &["-H", "Content-Type: application/json", "-d", body],
            ),
            None => self.curl(user, method, path, &[]),
        };
        let answer = serde_json::from_slice(&answer).unwrap_or_else(|_| panic!("{call}: {}", text(&answer)));
        (status, answer)
    }

    /// The result of a call that is granted.
    fn done(&self, user: &User, call: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.ask(Some(user), call, body);
        assert_eq!(status, 200, "{call}: {answer}");
        answer["result"].clone()
    }

    fn get(&self, user: &User, path: &str) -> Value {
        self.done(user, &format!("GET {path}"), None)
    }

    fn post(&self, user: &User, path: &str, body: Value) -> Value {
        self.done(user, &format!("POST {path}"), Some(body))
    }

    /// The word of a refusal.
    fn refused(&self, user: &User, call: &str, body: Option<Value>) -> (u16, String) {
        let (status, answer) = self.ask(Some(user), call, body);
        (status, answer["error"].as_str().unwrap_or_default().to_owned())
    }

    /// A user of the demo.
    fn known(&self, key: &str) -> User {
        let file = format!("data/demo/{key}.token");
        let access = std::fs::read(self.folder.join(&file)).unwrap();
        let access: Value = serde_json::from_slice(&access).unwrap();
        User {
            id: access["user_id"].as_i64().unwrap(),
            token: access["access_token"].as_str().unwrap().to_owned(),
            file,
        }
    }

    /// A login, kept in a token file.
    fn keep(&self, key: &str, login: &Value) -> User {
        let file = format!("{key}.token");
        let access = json!({
            "api": self.base, "user_id": login["user_id"], "name": key, "device_id": key,
            "access_token": login["access_token"],
        });
        std::fs::write(self.folder.join(&file), access.to_string()).unwrap();
        User {
            id: login["user_id"].as_i64().unwrap(),
            token: login["access_token"].as_str().unwrap().to_owned(),
            file,
        }
    }

    /// Registers a user, whose code stands in the demo's output.
    fn register(&self, demo: &mut Running, key: &str, phone: &str, name: &str, role: &str) -> User {
        let (status, answer) = self.ask(None, "POST /account/code", Some(json!({ "phone": phone })));
        assert_eq!(status, 200, "{answer}");
        let line = demo.wait_for(phone);
        let code = line.split_whitespace().last().unwrap();
        let account = json!({
            "phone": phone, "code": code, "name": name, "role": role, "device_id": key, "platform": "desktop",
        });
        let (status, login) = self.ask(None, "POST /account/register", Some(account));
        assert_eq!(status, 200, "{login}");
        self.keep(key, &login["result"])
    }

    /// Uploads bytes: asks, sends, finishes. Returns the medium.
    fn upload(&self, user: &User, mime_type: &str, purpose: &str, bytes: &[u8]) -> Value {
        std::fs::write(self.folder.join("upload"), bytes).unwrap();
        let mut sum = Command::new("sha256sum");
        sum.arg(self.folder.join("upload"));
        let sum = run(sum, "");
        let sha256 = text(&sum.stdout)[..64].to_owned();
        let asked = self.post(
            user,
            "/media",
            json!({"mime_type": mime_type, "size": bytes.len(), "purpose": purpose, "sha256": sha256}),
        );
        let ticket = &asked["ticket"];
        let (method, url) = (
            ticket["method"].as_str().unwrap(),
            ticket["url"].as_str().unwrap(),
        );
        let header = "Content-Type: application/octet-stream";
        let (status, answer) = self.curl(
            Some(user),
            method,
            url,
            &["-H", header, "--data-binary", "@upload"],
        );
        assert_eq!(status, 200, "{}", text(&answer));
        self.post(user, &format!("/media/{}/finish", asked["media_id"]), json!({}))
    }

    /// The bytes of a medium; `None` where it does not exist for the user.
    fn fetch(&self, user: &User, uri: &str) -> Option<Vec<u8>> {
        let path = format!("/media/{}", uri.strip_prefix("media:").unwrap());
        let (status, bytes) = self.curl(Some(user), "GET", &path, &[]);
        assert!([200, 404].contains(&status), "{status}");
        (status == 200).then_some(bytes)
    }

    fn chat(&self, user: &User) -> Running {
        let mut chat = Running::start(huizhen(self.folder, &["chat", &user.file, "--json"]));
        chat.wait_for_event("synced", |event| event["event"] == "synced");
        chat
    }

    /// The entries of a consult that a user sees, the oldest first.
    fn entries(&self, user: &User, consult: i64) -> Vec<Value> {
        let entries = self.get(user, &format!("/consult/{consult}/messages?limit=100"));
        entries.as_array().unwrap().iter().rev().cloned().collect()
    }
}

fn id(answer: &Value, name: &str) -> i64 {
    answer[name]
        .as_i64()
        .unwrap_or_else(|| panic!("no {name} in {answer}"))
}

fn uri(medium: &Value) -> String {
    medium["uri"].as_str().unwrap().to_owned()
}

/// Waits for an entry of a conversation.
fn wait_for_entry(
    chat: &mut Running,
    conversation: i64,
    about: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    chat.wait_for_event(about, |event| {
        event["event"] == "entry" && event["conversation_id"] == conversation && wanted(event)
    })
}

/// Founds clinic and team, and brings two doctors into the team.
fn found(clinic: &Clinic<'_>, doctor: &User, others: [&User; 2]) -> i64 {
    let founded = json!({"name": "仁心诊所", "introduction": "儿科与皮肤科"});
    let founded = clinic.post(doctor, "/clinic", founded);
    let team = json!({
        "name": "仁心儿科", "introduction": "两位儿科医生", "agreement": "会员加入协议", "membership_fee_fen": 0,
        "consult_price_fen": 0,
    });
    let team = id(&clinic.post(doctor, "/team", team), "team_id");
    let below = format!("PUT /clinic/{}/team/{team}", founded["clinic_id"]);
    clinic.done(doctor, &below, None);
    clinic.done(
        doctor,
        &format!("PUT /team/{team}"),
        Some(json!({"claims": true, "clock": {"answer_minutes": 60, "follow_up_days": 7}})),
    );
    let invitation = clinic.post(
        doctor,
        &format!("/team/{team}/invitation"),
        json!({"max_uses": 2}),
    );
    for other in others {
        clinic.post(other, "/team/join", json!({"invitation": invitation["link"]}));
    }
    team
}

/// The patient finds the team by the clinic's exact name, and joins by its poster.
fn join(clinic: &Clinic<'_>, patient: &User, doctor: &User, team: i64) {
    let found = clinic.done(
        patient,
        "GET /clinic?name=%E4%BB%81%E5%BF%83%E8%AF%8A%E6%89%80",
        None,
    );
    let teams = clinic.get(patient, &format!("/clinic/{}/team_list", found["clinic_id"]));
    assert_eq!(
        (&teams[0]["team_id"], &teams[0]["name"]),
        (&json!(team), &json!("仁心儿科")),
        "{teams}"
    );
    let poster = clinic.get(doctor, &format!("/team/{team}/poster"));
    assert!(poster["qr_svg"].as_str().unwrap().contains("<svg"));
    let link = poster["app_link"].as_str().unwrap();
    let scanned: i64 = link.split_once("team_id=").unwrap().1.parse().unwrap();
    let page = clinic.get(patient, &format!("/team/{scanned}"));
    let agreed = json!({"team_id": scanned, "agreement_version": page["agreement_version"]});
    clinic.post(patient, "/team/join", agreed);
}

/// Opens the consult for the child; the uris of its photos.
fn begin(clinic: &Clinic<'_>, patient: &User, team: i64) -> (i64, Vec<String>) {
    let child = json!({"relation_type": "child", "name": "小明", "birth_date": "2020-03-01"});
    let child = clinic.post(patient, "/family", child);
    let photos = &PHOTOS[..2];
    let photos = photos
        .iter()
        .map(|photo| uri(&clinic.upload(patient, "image/png", "symptom", photo)));
    let photos: Vec<String> = photos.collect();
    let consult = json!({
        "creator_member_id": patient.id, "target_member_id": child["relation_user_id"], "team_id": team,
        "symptom_type": "text/plain", "symptom_content": "手臂和后背起疹子两天", "images": photos,
    });
    let consult = clinic.post(patient, "/consult", consult);
    (id(&consult, "consultation_id"), photos)
}

/// The end, with advice.
fn end(clinic: &Clinic<'_>, (doctor, consult): (&User, i64), mother: &mut Running) {
    let advice = json!({
        "impression": "荨麻疹", "text": "避免抓挠", "medicines": "炉甘石洗剂，外用", "follow_up_date": "2030-01-02",
    });
    clinic.post(
        doctor,
        &format!("/consult/{consult}/finish"),
        json!({ "advice": advice }),
    );
    let is_card = |entry: &Value| entry["mime_type"] == "application/vnd.huizhen.advice";
    wait_for_entry(mother, consult, "the advice", is_card);
    wait_for_entry(mother, consult, "the end", |entry| {
        entry["status"]["status"] == "finished"
    });
}

/// The patient rates the consult, which the team sees, and asks once more, free of charge.
fn rate_and_ask(clinic: &Clinic<'_>, (patient, doctor): (&User, &User), (team, consult): (i64, i64)) {
    let record = clinic.get(patient, &format!("/consult/{consult}"));
    assert_eq!(record["advice"]["impression"], "荨麻疹", "{record}");
    let rating = format!("PUT /consult/{consult}/rating");
    clinic.done(patient, &rating, Some(json!({"stars": 5, "words": "很耐心"})));
    let ratings = clinic.get(doctor, &format!("/team/{team}/rating_list"));
    assert_eq!(
        (&ratings[0]["consultation_id"], &ratings[0]["stars"]),
        (&json!(consult), &json!(5))
    );
    let question = json!({
        "creator_member_id": patient.id, "target_member_id": record["target_member_id"], "team_id": team,
        "symptom_type": "text/plain", "symptom_content": "还有一点痒，药要用多久？", "follow_up_of": consult,
    });
    let further = clinic.post(patient, "/consult", question.clone());
    assert_eq!(further["follow_up_of"], consult, "{further}");
    let again = clinic.refused(patient, "POST /consult", Some(question));
    assert_eq!(again, (409, "consult.follow_up_open".into()));
}

#[test]
fn a_consult_goes_from_the_desk_to_the_numbers_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut demo = Running::start(huizhen(folder, &["demo"]));
    let line = demo.wait_for("/docs");
    let base = line
        .split_whitespace()
        .last()
        .unwrap()
        .trim_end_matches("/docs")
        .to_owned();
    demo.wait_for("Ctrl-C");
    let clinic = Clinic { folder, base };
    let (patient, operator, second) = (
        clinic.known("patient"),
        clinic.known("operator"),
        clinic.known("doctor2"),
    );

    // A doctor registers, and is approved.
    let doctor = clinic.register(&mut demo, "zhao", "13700000001", "赵医生", "doctor");
    let early = clinic.refused(
        &doctor,
        "POST /clinic",
        Some(json!({"name": "仁心诊所", "introduction": ""})),
    );
    assert_eq!(early, (403, "doctor.not_verified".into()));
    let licence = uri(&clinic.upload(&doctor, "image/png", "licence", PHOTOS[2]));
    let asked = json!({
        "name": "赵敏", "licence_number": "110110000012345", "hospital": "北京市朝阳区妇幼保健院", "title": "主治医师",
        "practice_years": 12, "pictures": [licence],
    });
    clinic.post(&doctor, "/doctor/verification", asked);
    let waiting = clinic.get(&operator, "/operator/doctor_list?state=asked");
    let waits = |row: &Value| row["doctor_id"] == doctor.id;
    assert!(waiting.as_array().unwrap().iter().any(waits), "{waiting}");
    assert_eq!(clinic.fetch(&patient, &licence), None);
    assert!(clinic.fetch(&operator, &licence).is_some());
    clinic.post(
        &operator,
        &format!("/operator/doctor/{}/approve", doctor.id),
        json!({}),
    );

    let third = clinic.known("doctor");
    let team = found(&clinic, &doctor, [&second, &third]);
    join(&clinic, &patient, &doctor, team);
    let (consult, photos) = begin(&clinic, &patient, team);

    // She tells more by voice.
    let mut mother = clinic.chat(&patient);
    std::fs::write(folder.join("voice.amr"), voice()).unwrap();
    mother.type_line(&json!({"send_file": "voice.amr", "conversation_id": consult}).to_string());
    let is_voice = |entry: &Value| entry["mime_type"] == "audio/amr";
    let spoken = wait_for_entry(&mut mother, consult, "the voice message", is_voice);
    assert_eq!(spoken["content"]["duration_ms"], 2000, "{spoken}");

    let said = clinic.entries(&patient, consult);
    let complaint = said
        .iter()
        .find(|entry| entry["mime_type"] == "application/vnd.huizhen.consult");
    let complaint = complaint.unwrap_or_else(|| panic!("no complaint in {said:?}"));
    assert_eq!(complaint["content"]["images"], json!(photos));
    assert_eq!(complaint["content"]["subject"]["name"], "小明");
    let complaint = id(complaint, "seq");

    // It waits on the desk until the doctor takes it.
    let desk = clinic.get(&doctor, &format!("/team/{team}/desk?state=waiting"));
    let row = &desk[0];
    assert_eq!(row["consultation_id"], consult, "{desk}");
    assert_eq!(
        (&row["target_member_name"], &row["relation"], &row["complaint"]),
        (&json!("小明"), &json!("child"), &json!("手臂和后背起疹子两天"))
    );
    assert_eq!(clinic.fetch(&second, &photos[0]), None);
    clinic.post(&doctor, &format!("/consult/{consult}/claim"), json!({}));
    let again = clinic.refused(
        &second,
        &format!("POST /consult/{consult}/claim"),
        Some(json!({})),
    );
    assert_eq!(again.0, 409, "{again:?}");
    let mut first = clinic.chat(&doctor);
    first.type_line(&json!({"text": "请问痒吗？", "conversation_id": consult}).to_string());
    let question = wait_for_entry(&mut mother, consult, "the question", |entry| {
        entry["text"] == "请问痒吗？"
    });

    // The second doctor reads from the first word, and sees what belongs to it.
    let login = json!({"device_id": "desk", "platform": "desktop"});
    let login = clinic.post(&doctor, &format!("/team/{team}/assistant/login"), login);
    let assistant = clinic.keep("desk", &login);
    clinic.post(
        &assistant,
        &format!("/consult/{consult}/doctor"),
        json!({"doctor_id": second.id}),
    );
    let mut colleague = Running::start(huizhen(folder, &["chat", &second.file, "--json"]));
    for (about, seq) in [
        ("the complaint", complaint),
        ("the question", id(&question, "seq")),
    ] {
        wait_for_entry(&mut colleague, consult, about, |entry| entry["seq"] == seq);
    }
    for (photo, bytes) in photos.iter().zip(PHOTOS) {
        let seen = clinic.fetch(&second, photo).unwrap();
        assert_eq!(&seen[..8], &bytes[..8], "a PNG");
    }
    assert_eq!(clinic.fetch(&second, &uri(&spoken["content"])), Some(voice()));
    // The chat saves what the entry names, and replaces no file.
    let save =
        json!({"save_seq": spoken["seq"], "conversation_id": consult, "path": "heard.amr"}).to_string();
    colleague.type_line(&save);
    colleague.wait_for_event("saved", |event| event["event"] == "saved");
    assert_eq!(std::fs::read(folder.join("heard.amr")).unwrap(), voice());
    colleague.type_line(&save);
    colleague.wait_for_event("refused", |event| event["event"] == "file_failed");
    assert_eq!(clinic.entries(&second, consult), clinic.entries(&doctor, consult));

    // The staff room, which the patient does not see.
    let record = clinic.get(&doctor, &format!("/consult/{consult}"));
    let staff = id(&record, "staff_conversation_id");
    first.type_line(&json!({"text": "像是荨麻疹，你看呢？", "conversation_id": staff}).to_string());
    wait_for_entry(&mut colleague, staff, "the staff room", |entry| {
        entry["text"] == "像是荨麻疹，你看呢？"
    });

    // The first doctor hands over, and reads up to there.
    clinic.post(
        &doctor,
        &format!("/consult/{consult}/handover"),
        json!({"doctor_id": third.id}),
    );
    let mut successor = clinic.chat(&third);
    successor.type_line(&json!({"text": "按时吃药，三天后复诊", "conversation_id": consult}).to_string());
    let later = wait_for_entry(&mut mother, consult, "the advice", |entry| {
        entry["sender_id"] == third.id
    });
    let own = clinic.entries(&doctor, consult);
    assert!(own.iter().any(|entry| entry["seq"] == complaint), "{own:?}");
    assert!(!own.iter().any(|entry| entry["seq"] == later["seq"]), "{own:?}");
    first.type_line(&json!({"text": "还有", "conversation_id": consult}).to_string());
    first.wait_for_event("a refusal", |event| event["event"] == "send_failed");

    // One wrong sentence is corrected; the first one stays readable.
    let right =
        json!({"text": "按时吃药，两天后复诊", "conversation_id": consult, "corrects_seq": later["seq"]});
    successor.type_line(&right.to_string());
    let corrects = |entry: &Value| entry["corrects_seq"] == later["seq"];
    wait_for_entry(&mut mother, consult, "the correction", corrects);
    let heard = clinic.entries(&patient, consult);
    let stays = |entry: &Value| {
        let is_it = entry["seq"] == later["seq"] && entry["text"] == "按时吃药，三天后复诊";
        is_it && entry["corrected_by_seq"].as_i64() > later["seq"].as_i64()
    };
    assert!(heard.iter().any(stays), "{heard:?}");

    end(&clinic, (&third, consult), &mut mother);

    // It counts for all three who worked.
    for who in [&doctor, &second, &third] {
        let numbers = clinic.get(who, &format!("/team/{team}/consult_history"));
        assert_eq!(
            (&numbers["handled"], &numbers["served_by_me"]),
            (&json!(1), &json!(1))
        );
        let served = clinic.get(who, &format!("/team/{team}/my_consult_list"));
        assert_eq!(served[0]["consultation_id"], consult, "{served}");
    }
    let ended = clinic.get(&doctor, &format!("/team/{team}/desk?state=ended"));
    assert_eq!(ended[0]["consultation_id"], consult, "{ended}");
    let heard = clinic.entries(&patient, consult);
    let staff_room = |entry: &Value| entry["text"] == "像是荨麻疹，你看呢？";
    assert!(!heard.iter().any(staff_room), "{heard:?}");

    rate_and_ask(&clinic, (&patient, &doctor), (team, consult));

    for (mut chat, status) in [(mother, 0), (colleague, 1), (successor, 0)] {
        chat.end_input();
        assert_eq!(chat.end(), Some(status));
    }
    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));
}
