//! Finding teams by part of their name.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{people::Person, service::Service};

async fn search(service: &Service, doctor: &Person, part: &str) -> Vec<String> {
    let query: String = url::form_urlencoded::byte_serialize(part.as_bytes()).collect();
    let found = doctor
        .get(service, &format!("/team?limit=200&name={query}"))
        .send()
        .await
        .result();
    found
        .as_array()
        .unwrap()
        .iter()
        .map(|team| team["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Seed: 医生可以通过搜索团队名称 查找团队.
#[tokio::test]
async fn a_doctor_finds_teams_by_part_of_their_name() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let member = service.member("Pat").await;
    let long = format!("{}尾", "长".repeat(63));
    let names = [
        "北京儿科会诊中心",
        "儿科",
        "北京内科",
        "ABC Pediatrics 100%",
        "a_c",
        r"back\slash",
        long.as_str(),
    ];
    for name in names {
        service.team(name).await;
    }
    for (part, expected) in [
        ("儿", &["儿科", "北京儿科会诊中心"][..]),
        ("儿科", &["儿科", "北京儿科会诊中心"]),
        ("北京", &["北京内科", "北京儿科会诊中心"]),
        ("科会诊中", &["北京儿科会诊中心"]),
        ("北京儿科会诊中心", &["北京儿科会诊中心"]),
        ("京儿科会诊中", &["北京儿科会诊中心"]),
        ("北京儿科会诊中心二", &[]),
        ("abc", &["ABC Pediatrics 100%"]),
        ("PEDIATRICS", &["ABC Pediatrics 100%"]),
        ("c p", &["ABC Pediatrics 100%"]),
        ("100%", &["ABC Pediatrics 100%"]),
        ("%", &["ABC Pediatrics 100%"]),
        ("_", &["a_c"]),
        ("a_c", &["a_c"]),
        ("pedi_trics", &[]),
        ("ABC%100", &[]),
        (r"\", &[r"back\slash"]),
        (r"k\slas", &[r"back\slash"]),
        (" 儿科 ", &["儿科", "北京儿科会诊中心"]),
        ("外科", &[]),
        (&long, &[&long]),
        (&long[3..], &[&long]),
        (&long[..189], &[&long]),
        (&"长".repeat(64), &[]),
    ] {
        assert_eq!(search(&service, &doctor, part).await, expected, "{part}");
    }
    let team = service.team_of(&doctor, "唯一").await;
    let found = doctor.get(&service, "/team?name=唯一&count=true").send().await;
    assert_eq!(
        found.json,
        json!({
            "success": true, "code": 200, "has_more": false, "total": 1,
            "result": [{
                "team_id": team.id, "name": "唯一", "introduction": "介绍", "owner_id": doctor.id,
                "owner_name": "Dr. A", "created_ms": found.json["result"][0]["created_ms"],
            }],
        })
    );
    for person in [&member, &team.assistant] {
        let seen = person.get(&service, "/team?name=唯一&count=true").send().await;
        assert_eq!(seen.json, found.json);
    }
    for bad in ["/team", "/team?name=", "/team?name=%20%20"] {
        doctor
            .get(&service, bad)
            .send()
            .await
            .refused(400, "request.invalid")
            .field("name");
    }
}

#[tokio::test]
async fn a_team_that_is_renamed_is_found_by_its_new_name_only() {
    let service = Service::start().await;
    let team = service.team("旧名儿科").await;
    team.owner
        .put(
            &service,
            &format!("/team/{}", team.id),
            json!({"name": "新名儿科"}),
        )
        .send()
        .await
        .result();
    assert_eq!(search(&service, &team.owner, "旧").await, [] as [&str; 0]);
    assert_eq!(search(&service, &team.owner, "旧名儿科").await, [] as [&str; 0]);
    for part in ["新名", "儿科", "新名儿科"] {
        assert_eq!(search(&service, &team.owner, part).await, ["新名儿科"]);
    }
}

/// Against the plain rule: random names of few letters, every part of them.
#[tokio::test]
async fn a_search_finds_what_has_the_part_and_nothing_else() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let mut names = Vec::new();
    for _ in 0..6 {
        let owner = service.doctor("Owner").await;
        for _ in 0..4 {
            let length = rand::random_range(1..=12);
            let name: String = (0..length)
                .map(|_| ['a', 'B', '儿', '_', '%'][rand::random_range(0..5_usize)])
                .collect();
            owner
                .post(&service, "/team", super::people::new_team(&name))
                .send()
                .await
                .result();
            names.push(name);
        }
    }
    let mut parts = HashSet::new();
    for name in &names {
        let characters: Vec<char> = name.chars().collect();
        for from in 0..characters.len() {
            for to in from + 1..=characters.len() {
                parts.insert(characters[from..to].iter().collect::<String>());
            }
        }
    }
    let mut parts: Vec<String> = parts.into_iter().collect();
    parts.truncate(150);
    for part in parts {
        let mut found = search(&service, &doctor, &part).await;
        let mut expected: Vec<String> = names
            .iter()
            .filter(|name| name.to_lowercase().contains(&part.to_lowercase()))
            .cloned()
            .collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{part}");
    }
}

#[tokio::test]
async fn a_walk_through_a_search_meets_each_once_while_teams_are_made() {
    let service = Service::start().await;
    let searching = service.doctor("Dr. A").await;
    let mut made = Vec::new();
    for at in 0..13 {
        made.push(service.team(&format!("儿科 {at}")).await.id);
    }
    service
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute("UPDATE team SET created_ms = created_ms / 50 * 50", vec![])
                    .await?;
                tx.execute("UPDATE team_gram SET created_ms = created_ms / 50 * 50", vec![])
                    .await
            })
        })
        .await
        .unwrap();
    made.reverse();
    let mut walked = Vec::new();
    let mut query = "/team?name=儿科&limit=4".to_owned();
    loop {
        let reply = searching.get(&service, &query).send().await;
        let items = reply.result();
        walked.extend(
            items
                .as_array()
                .unwrap()
                .iter()
                .map(|team| team["team_id"].as_i64().unwrap()),
        );
        service.team("儿科 new").await;
        match &reply.json["next_cursor"] {
            Value::String(cursor) => query = format!("/team?name=儿科&limit=4&cursor={cursor}"),
            _ => break,
        }
    }
    assert_eq!(walked, made);
}
