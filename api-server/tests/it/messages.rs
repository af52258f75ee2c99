//! The journal of a consult over REST.

use bytes::Bytes;
use journal::append::{Appender, NewMessage, Outlet, Settled};
use journal::{Published, append::Accepted};
use prost::Message;
use proto::{ConversationId, Seq, UserId, wire};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{people::Person, service::Service};

type Answer = oneshot::Sender<Result<Accepted, journal::Error>>;

/// Tells each sender what became of their message.
struct Tell;

impl Outlet<Answer> for Tell {
    async fn settle(&self, answers: Vec<Settled<Answer>>, _: Vec<Published>) {
        for settled in answers {
            let _ = settled.context.send(settled.outcome);
        }
    }
}

/// Writes into a conversation as an IM node does.
pub struct Pen(Appender<Answer>);

impl Pen {
    pub fn new(service: &Service) -> Self {
        Self(Appender::start(&service.journal, Tell))
    }

    pub async fn write(
        &self,
        conversation: i64,
        sender: &Person,
        mime_type: &str,
        body: impl Into<Bytes>,
    ) -> i64 {
        let accepted = self.try_write(conversation, sender, mime_type, body).await;
        accepted.unwrap().seq.get()
    }

    /// Writes a message that corrects another one.
    pub async fn correct(
        &self,
        conversation: i64,
        sender: &Person,
        mime_type: &str,
        body: impl Into<Bytes>,
        corrects_seq: i64,
    ) -> i64 {
        let corrected = self.send(conversation, sender, mime_type, body.into(), corrects_seq);
        corrected.await.unwrap().seq.get()
    }

    pub async fn try_write(
        &self,
        conversation: i64,
        sender: &Person,
        mime_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Accepted, journal::Error> {
        self.send(conversation, sender, mime_type, body.into(), 0).await
    }

    async fn send(
        &self,
        conversation: i64,
        sender: &Person,
        mime_type: &str,
        body: Bytes,
        corrects_seq: i64,
    ) -> Result<Accepted, journal::Error> {
        let (answer, answered) = oneshot::channel();
        let message = NewMessage {
            conversation: ConversationId::from_database(conversation),
            sender: UserId::from_database(sender.id),
            client_msg_id: hex::encode(rand::random::<[u8; 8]>()),
            mime_type: mime_type.into(),
            body,
            mentions: Vec::new(),
            reply_to_seq: Seq::ZERO,
            corrects_seq: Seq::from_database(corrects_seq),
            stream: None,
        };
        self.0.submit(message, answer).await.unwrap();
        answered.await.unwrap()
    }
}

/// Takes a message back, as an IM node does for its sender.
pub async fn recall(service: &Service, conversation: i64, by: &Person, seq: i64) {
    let (conversation, by) = (
        ConversationId::from_database(conversation),
        UserId::from_database(by.id),
    );
    let now_ms = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let seq = Seq::from_database(seq);
    let (_, unpublished) = service
        .journal
        .recall(conversation, by, seq, now_ms)
        .await
        .unwrap();
    service.journal.publish(unpublished);
}

async fn page(service: &Service, person: &Person, consult: i64, query: &str) -> (Vec<Value>, Option<String>) {
    let reply = person
        .get(service, &format!("/consult/{consult}/messages?{query}"))
        .send()
        .await;
    let items = reply.result().as_array().unwrap().clone();
    let next = reply.json["next_cursor"].as_str().map(str::to_owned);
    assert_eq!(reply.json["has_more"], next.is_some());
    (items, next)
}

#[tokio::test]
async fn bodies_are_shown_by_their_type() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let patient = service.member("Pat").await;
    let consult = service.consult(&patient, &team).await;
    service.bring_in(&team, consult, &doctor).await;
    let pen = Pen::new(&service);
    pen.write(consult, &patient, "text/plain", "你好").await;
    let image = wire::Image {
        uri: "media/1".into(),
        width: 640,
        height: 480,
        bytes: 9000,
        thumbnail: vec![1, 2, 3].into(),
    };
    pen.write(consult, &patient, "image/jpeg", image.encode_to_vec())
        .await;
    let advice = wire::AdviceCard {
        title: "休息".into(),
        text: "多喝水".into(),
        images: vec!["media/2".into()],
        ..wire::AdviceCard::default()
    };
    pen.write(
        consult,
        &doctor,
        "application/vnd.huizhen.advice",
        advice.encode_to_vec(),
    )
    .await;
    let last = pen
        .write(consult, &doctor, "application/vnd.acme.thing", &b"\xff\x00"[..])
        .await;

    let (items, next) = page(&service, &patient, consult, "limit=4").await;
    assert!(next.is_some());
    assert_eq!(
        items[0],
        json!({
            "conversation_id": consult, "seq": last, "sender_id": doctor.id, "kind": "message",
            "created_ms": items[0]["created_ms"], "client_msg_id": items[0]["client_msg_id"],
            "mime_type": "application/vnd.acme.thing", "body_base64": "/wA=",
        })
    );
    assert_eq!(
        items[1]["content"],
        json!({"title": "休息", "text": "多喝水", "images": ["media/2"]})
    );
    assert_eq!(
        items[2]["content"],
        json!({"uri": "media/1", "width": 640, "height": 480, "bytes": 9000, "thumbnail": "AQID"})
    );
    assert_eq!(
        (&items[3]["text"], &items[3]["mime_type"]),
        (&json!("你好"), &json!("text/plain"))
    );

    // A recalled message is there without what it said.
    let conversation = ConversationId::from_database(consult);
    let by = UserId::from_database(doctor.id);
    let now_ms = items[0]["created_ms"].as_i64().unwrap();
    let (_, unpublished) = service
        .journal
        .recall(conversation, by, Seq::from_database(last), now_ms)
        .await
        .unwrap();
    service.journal.publish(unpublished);
    let (items, _) = page(&service, &patient, consult, "limit=2").await;
    assert_eq!(
        (&items[0]["kind"], &items[0]["corrects_seq"]),
        (&json!("recalled"), &json!(last))
    );
    assert_eq!(items[1]["recalled"], true);
    assert!(items[1].get("body_base64").is_none() && items[1].get("mime_type").is_none());
    assert!(!items[1].to_string().contains("/wA="));
}

// protocol: "So do doctors and assistants who are brought into a consult and its staff room"
#[tokio::test]
async fn a_doctor_reads_the_case_or_what_comes_from_now_on_and_the_patient_nothing_of_the_staff_room() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let patient = service.member("Pat").await;
    let consult = service.consult(&patient, &team).await;
    let pen = Pen::new(&service);
    pen.write(consult, &patient, "text/plain", "before").await;
    let shown = service.bring_in(&team, consult, &doctor).await;
    let room = shown["staff_conversation_id"].as_i64().unwrap();
    pen.write(room, &doctor, "text/plain", "between us").await;
    pen.write(consult, &patient, "text/plain", "after").await;
    let text = |items: &[Value]| serde_json::to_string(items).unwrap();
    let (items, _) = page(&service, &doctor, consult, "").await;
    assert!(text(&items).contains("after") && text(&items).contains("before"));
    assert!(text(&items).contains("symptom_content"), "the complaint");
    let newcomer = service.doctor_of(&team, "Dr. C").await;
    let bring = json!({"doctor_id": newcomer.id, "history": "from_now"});
    let path = format!("/consult/{consult}/doctor");
    team.assistant.post(&service, &path, bring).send().await.result();
    let wrong = json!({"doctor_id": newcomer.id, "history": "none"});
    let wrong = team.assistant.post(&service, &path, wrong).send().await;
    wrong.refused(400, "request.invalid");
    pen.write(consult, &patient, "text/plain", "later").await;
    let (items, _) = page(&service, &newcomer, consult, "").await;
    assert_eq!((items.len(), &items[0]["text"]), (2, &json!("later")));
    assert_eq!(items[1]["participant"]["sees_from_seq"], items[1]["seq"]);
    let (items, _) = page(&service, &patient, consult, "").await;
    assert!(text(&items).contains("after") && text(&items).contains("before"));
    assert!(!text(&items).contains("between us"));
    // The staff room is no consult, for any caller.
    for person in [&patient, &doctor, &newcomer] {
        let reply = person
            .get(&service, &format!("/consult/{room}/messages"))
            .send()
            .await;
        reply.refused(404, "consult.not_found");
    }
}

#[tokio::test]
async fn a_walk_through_the_journal_meets_everything_once_while_messages_come() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let consult = service.consult(&patient, &team).await;
    let pen = Pen::new(&service);
    for at in 0..25 {
        pen.write(consult, &patient, "text/plain", format!("{at}")).await;
    }
    let mut seqs: Vec<i64> = Vec::new();
    let mut cursor = None;
    loop {
        let query = cursor.map_or_else(
            || "limit=4".to_owned(),
            |cursor| format!("limit=4&cursor={cursor}"),
        );
        let (items, next) = page(&service, &patient, consult, &query).await;
        assert!((1..=4).contains(&items.len()));
        seqs.extend(items.iter().map(|item| item["seq"].as_i64().unwrap()));
        pen.write(consult, &patient, "text/plain", "meanwhile").await;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<i64> = (1..=28).rev().collect();
    assert_eq!(seqs, expected);
    let reply = patient
        .get(
            &service,
            &format!("/consult/{consult}/messages?count=true&limit=1"),
        )
        .send()
        .await;
    assert_eq!(reply.json["total"], 28 + 7);
}

#[tokio::test]
async fn a_page_of_long_messages_ends_early_and_loses_nothing() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let consult = service.consult(&patient, &team).await;
    let pen = Pen::new(&service);
    for _ in 0..40 {
        pen.write(consult, &patient, "text/plain", "x".repeat(60_000))
            .await;
    }
    let mut found = 0;
    let mut query = "limit=200".to_owned();
    let mut pages = 0;
    loop {
        let reply = patient
            .get(&service, &format!("/consult/{consult}/messages?{query}"))
            .send()
            .await;
        assert!(reply.text.len() < 1_200_000);
        found += reply.result().as_array().unwrap().len();
        pages += 1;
        match reply.json["next_cursor"].as_str() {
            Some(cursor) => query = format!("limit=200&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!((found, pages), (43, 3));
}

/// A doctor who left sees up to there, and after coming back the entries of their absence too.
#[tokio::test]
async fn coming_back_shows_the_absence() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let patient = service.member("Pat").await;
    let consult = service.consult(&patient, &team).await;
    let pen = Pen::new(&service);
    service.bring_in(&team, consult, &doctor).await;
    let path = format!("/consult/{consult}/doctor/{}", doctor.id);
    let left = team.assistant.delete(&service, &path).send().await;
    left.result();
    let absent = pen
        .write(consult, &patient, "text/plain", "while they are out")
        .await;
    let total = async || {
        let path = format!("/consult/{consult}/messages?count=true&limit=200");
        let reply = doctor.get(&service, &path).send().await;
        let items = reply.result().as_array().unwrap().len();
        assert_eq!(reply.json["total"], items);
        items as i64
    };
    assert_eq!(total().await, absent - 1, "up to their leaving");
    service.bring_in(&team, consult, &doctor).await;
    assert_eq!(total().await, absent + 1);
}

// protocol: "The first message of a consult is its card"
// protocol: "The server writes it, so its client_msg_id is empty"
// protocol: "The patient of a consult and both sides of a private chat see it from entry 1"
/// The first message is the complaint, with the names of the time.
#[tokio::test]
async fn the_complaint_is_the_first_message() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let consult = service.consult(&patient, &team).await;
    let (items, _) = page(&service, &patient, consult, "").await;
    let card = &items[0];
    assert_eq!(
        (
            &card["seq"],
            &card["kind"],
            &card["sender_id"],
            &card["mime_type"]
        ),
        (
            &json!(3),
            &json!("message"),
            &json!(patient.id),
            &json!("application/vnd.huizhen.consult")
        )
    );
    assert!(card.get("client_msg_id").is_none());
    let content = &card["content"];
    assert_eq!(content["consultation_id"], consult);
    assert_eq!(content["symptom_type"], "text/plain");
    assert_eq!(content["title"], "儿科");
    let subject = &content["subject"];
    assert_eq!(
        (&subject["user_id"], &subject["name"], &subject["relation"]),
        (&json!(patient.id), &json!("Pat"), &json!("self"))
    );
}

#[tokio::test]
async fn a_page_of_long_messages_is_shorter_and_the_next_one_goes_on() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let consult = service.consult(&patient, &team).await;
    let pen = Pen::new(&service);
    let long = "长".repeat(20_000);
    let mut written = Vec::new();
    for _ in 0..60 {
        written.push(pen.write(consult, &patient, "text/plain", long.clone()).await);
    }
    written.reverse();
    let (mut seen, mut query) = (Vec::new(), "limit=200".to_owned());
    loop {
        let (items, next) = page(&service, &patient, consult, &query).await;
        let bytes: usize = items
            .iter()
            .filter_map(|item| item["text"].as_str())
            .map(str::len)
            .sum();
        assert!(bytes <= 1024 * 1024, "{bytes}");
        assert!(next.is_none() || bytes > 512 * 1024, "{bytes}");
        seen.extend(items.iter().map(|item| item["seq"].as_i64().unwrap()));
        let Some(next) = next else { break };
        query = format!("limit=200&cursor={next}");
    }
    assert_eq!(seen[..written.len()], written);
    assert_eq!(*seen.last().unwrap(), 1);
}
