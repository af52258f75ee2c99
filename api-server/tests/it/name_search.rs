//! Operators find users by part of their names.

use database::params;
use serde_json::{Value, json};

use super::{
    background::job,
    lists::{coarsen, walk_by},
    operators::{acts, operator},
    people::Person,
    scene::eventually,
    service::{Reply, Service},
};

const PATH: &str = "/operator/people/search";

async fn search(service: &Service, operator: &Person, name: &str) -> Reply {
    let path = format!("{PATH}?limit=200");
    operator.post(service, &path, json!({"name": name})).send().await
}

async fn found(service: &Service, operator: &Person, name: &str) -> Vec<String> {
    let users = search(service, operator, name).await.result();
    let names = users.as_array().unwrap().iter();
    names
        .map(|user| user["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn users_are_found_by_part_of_their_names() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "王芳管理员").await;
    let long = format!("{}尾", "长".repeat(63));
    for name in [
        "王芳",
        "欧阳王芳",
        "ＡＢＣ Ｗａｎｇ",
        "100%_a\\b",
        "玛丽·居里",
        "Anna Müller-Lüdenscheidt",
        long.as_str(),
    ] {
        service.member(name).await;
    }
    let doctor = service.doctor("李王芳医生").await;
    for (part, expected) in [
        ("王芳", &["李王芳医生", "欧阳王芳", "王芳"][..]),
        (" 王 芳 ", &["李王芳医生", "欧阳王芳", "王芳"]),
        ("王\u{200b}芳", &["李王芳医生", "欧阳王芳", "王芳"]),
        ("欧阳", &["欧阳王芳"]),
        ("阳王芳", &["欧阳王芳"]),
        ("芳王", &[]),
        ("abc", &["ＡＢＣ Ｗａｎｇ"]),
        ("ＷＡＮＧ", &["ＡＢＣ Ｗａｎｇ"]),
        ("c wang", &["ＡＢＣ Ｗａｎｇ"]),
        ("%_", &["100%_a\\b"]),
        ("0%", &["100%_a\\b"]),
        ("a\\b", &["100%_a\\b"]),
        ("100%_a\\b", &["100%_a\\b"]),
        ("1__%_a\\b", &[]),
        ("%%", &[]),
        ("__", &[]),
        ("玛丽・居里", &["玛丽·居里"]),
        ("müller-lüdensch", &["Anna Müller-Lüdenscheidt"]),
        ("muller", &[]),
        (&long, &[&long]),
        (&long[3..], &[&long]),
        (&"长".repeat(7), &[&long]),
        (&"长".repeat(64), &[]),
        ("管理员", &[]),
    ] {
        assert_eq!(found(&service, &operator, part).await, expected, "{part}");
    }
    // The row is that of the other searches.
    let by_name = search(&service, &operator, "李王芳").await.result();
    let by_id = operator.post(&service, PATH, json!({"user_id": doctor.id}));
    assert_eq!(by_name, by_id.send().await.result());
}

#[tokio::test]
async fn a_search_by_name_is_refused_without_one_to_look_for() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "张伟").await;
    for bad in [
        "",
        " ",
        "王",
        "王\u{200b}",
        "\u{3164}\u{2800}",
        "a\0b",
        &"名".repeat(65),
    ] {
        let refused = search(&service, &operator, bad).await;
        refused.refused(400, "request.invalid").field("name");
    }
    for bad in [json!(1), json!(null), json!(["王芳"]), json!({"a": 1})] {
        let call = operator.post(&service, PATH, json!({"name": bad})).send();
        assert_eq!(call.await.status, 400, "{bad}");
    }
    for bad in [
        json!({}),
        json!({"name": "王芳", "user_id": 1}),
        json!({"name": "王芳", "phone": "13800138000"}),
        json!({"user_id": 1, "phone": "13800138000"}),
    ] {
        let call = operator.post(&service, PATH, bad).send();
        call.await.refused(400, "request.invalid").field("body");
    }
    let doctor = service.doctor("王芳").await;
    let call = doctor.post(&service, PATH, json!({"name": "王芳"})).send();
    call.await.refused(403, "operator.only");
}

#[tokio::test]
async fn a_search_by_name_is_paged_and_logged() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "张伟").await;
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(service.member(&format!("王芳 {number}")).await.id);
    }
    service.member("李强").await;
    coarsen(
        &service,
        "UPDATE account_gram SET created_ms = created_ms / 1000 * 1000",
    )
    .await;
    coarsen(
        &service,
        "UPDATE account SET created_ms = created_ms / 1000 * 1000",
    )
    .await;
    ids.reverse();
    let page = async |query: String, body: Value| {
        let path = format!("{PATH}{query}");
        operator.post(&service, &path, body).send().await
    };
    let name = || json!({"name": "王芳"});
    let counted = page("?limit=3&count=true".into(), name()).await;
    assert_eq!(
        (&counted.json["total"], &counted.json["has_more"]),
        (&json!(7), &json!(true))
    );
    let between = async || {
        service.member("王芳 later").await;
    };
    let walked = walk_by(async |query| page(query, name()).await, 3, between);
    assert_eq!(walked.await, ids);
    for bad in ["?limit=0", "?cursor=x"] {
        page(bad.into(), name()).await.refused(400, "request.invalid");
    }
    let one = page("?count=true".into(), json!({"user_id": ids[0]})).await;
    assert_eq!(one.json["total"], 1);
    // Each page is a search in the log, with the name; a refused one is none.
    let acts = acts(&service, &operator).await;
    let logged: Vec<_> = acts
        .iter()
        .filter(|act| act["act"] == "people_searched")
        .collect();
    assert_eq!(logged.len(), 1 + 1 + 3);
    assert_eq!(
        (&logged[1]["subject"], &logged[1]["operator_id"]),
        (&json!("name:王芳"), &json!(operator.id))
    );
    assert_eq!(logged[0]["account_id"], ids[0]);
}

#[tokio::test]
async fn users_are_found_by_their_present_name_only() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "张伟").await;
    let member = service.member("旧名小芳").await;
    let renamed = member.put(&service, "/member/detail", json!({"name": "新名小芳"}));
    renamed.send().await.result();
    assert_eq!(found(&service, &operator, "旧名").await, [] as [&str; 0]);
    assert_eq!(found(&service, &operator, "小芳").await, ["新名小芳"]);
    // A dependant, and a user that an earlier release wrote or renamed.
    let child = json!({"relation_type": "child", "name": "小芳的孩子"});
    member.post(&service, "/family", child).send().await.result();
    assert_eq!(
        found(&service, &operator, "小芳").await,
        ["小芳的孩子", "新名小芳"]
    );
    let id = member.id;
    let earlier = service.database.transaction(move |tx| {
        Box::pin(async move {
            let sql = "UPDATE account SET name = '前版小芳' WHERE id = $1";
            tx.execute(sql, params![id]).await?;
            let sql = "INSERT INTO account (id, phone, name, role, team_count, created_ms, last_login_ms)
                 VALUES (7000000, NULL, '前版小明', 'member', 0, 1, 1)";
            tx.execute(sql, params![]).await?;
            tx.execute(
                "UPDATE job SET due_ms = 0 WHERE name = 'people_search'",
                params![],
            )
            .await
        })
    });
    earlier.await.unwrap();
    eventually("the job has folded them", async || {
        found(&service, &operator, "前版").await == ["前版小芳", "前版小明"]
    })
    .await;
    assert_eq!(found(&service, &operator, "新名").await, [] as [&str; 0]);
    assert_eq!(
        job(&service, &operator, "people_search").await.unwrap()["failures"],
        0
    );
}
