//! The steps of value-added services, racing and one by one.

use serde_json::json;

use super::{
    scene::{Scene, story},
    vas::proposal,
};

/// Each step of each state, by each person: the whole table.
#[tokio::test]
async fn each_step_is_somebodys_and_nothing_leaves_the_last_states() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let colleague = scene.service.doctor_of(&scene.team, "Dr. C").await;
    scene.service.bring_in(&scene.team, consult, &colleague).await;
    let stranger = scene.service.member("Sam").await;
    let steps = ["confirm", "decline", "withdraw"];
    for (at, first) in steps.iter().enumerate() {
        let vas = scene.propose(consult).await;
        for step in steps {
            let of_patient = step != "withdraw";
            for (person, may) in [
                (&scene.patient, of_patient),
                (&scene.doctor, !of_patient),
                (&colleague, false),
                (&scene.team.assistant, false),
            ] {
                if !may {
                    scene.step(person, vas, step).await.refused(403, "vas.forbidden");
                }
            }
            for person in [&stranger, &scene.team.owner] {
                scene.step(person, vas, step).await.refused(404, "vas.not_found");
                scene
                    .step(person, 9_007_199_254_740_991, step)
                    .await
                    .refused(404, "vas.not_found");
            }
        }
        let by = |step: &str| {
            if step == "withdraw" {
                &scene.doctor
            } else {
                &scene.patient
            }
        };
        let made = scene.step(by(first), vas, first).await.result();
        let state = ["confirmed", "declined", "withdrawn"][at];
        assert_eq!(made["state"], state);
        for step in steps {
            let reply = scene.step(by(step), vas, step).await;
            if step == *first {
                assert_eq!(reply.result(), made);
            } else {
                reply.refused(409, &format!("vas.{state}"));
            }
        }
    }
    scene
        .get(&stranger, "/vas/1".into())
        .await
        .refused(404, "vas.not_found");
    for bad in ["0", "x", "9007199254740992"] {
        scene
            .step(&scene.patient, 1, &format!("../{bad}/confirm"))
            .await
            .refused(400, "request.invalid")
            .field("id");
    }
}

#[tokio::test]
async fn fifty_racing_confirms_confirm_once() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let vas = scene.propose(consult).await;
    let path = format!("/vas/{vas}/confirm");
    let calls = (0..50).map(|_| scene.patient.post(&scene.service, &path, json!({})).send());
    let replies = futures_util::future::join_all(calls).await;
    // The same success for all: the later ones see what the first did.
    for reply in &replies {
        assert_eq!(reply.json, replies[0].json);
        assert_eq!(reply.result()["state"], "confirmed");
    }
    let told = told_of(&scene, consult, vas).await;
    assert_eq!(
        told,
        [format!("vas_proposed {vas}"), format!("vas_confirmed {vas}")]
    );
}

/// The entries of a service in the journal.
async fn told_of(scene: &Scene, consult: i64, vas: i64) -> Vec<String> {
    let story = story(scene, consult).await.into_iter();
    story
        .filter(|word| word.starts_with("vas_") && word.ends_with(&format!(" {vas}")))
        .collect()
}

#[tokio::test]
async fn fifty_racing_steps_have_one_winner_and_one_story() {
    let scene = Scene::new().await;
    for round in 0..4 {
        let consult = scene.in_process().await;
        let vas = scene.propose(consult).await;
        let calls = (0..50).map(|at| {
            let (who, step) = match (at + round) % 3 {
                0 => (&scene.patient, "confirm"),
                1 => (&scene.patient, "decline"),
                _ => (&scene.doctor, "withdraw"),
            };
            let path = format!("/vas/{vas}/{step}");
            let call = who.post(&scene.service, &path, json!({})).send();
            async move { (step, call.await) }
        });
        let replies = futures_util::future::join_all(calls).await;
        let shown = scene.get(&scene.patient, format!("/vas/{vas}")).await.result();
        let state = shown["state"].as_str().unwrap();
        let mut won = 0;
        for (step, reply) in &replies {
            if state.starts_with(&step[..step.len() - 1]) || (state == "withdrawn" && *step == "withdraw") {
                assert_eq!(reply.result(), shown);
                won += 1;
            } else {
                reply.refused(409, &format!("vas.{state}"));
            }
        }
        assert!((16..=17).contains(&won), "{won} {state}");
        assert_eq!(
            told_of(&scene, consult, vas).await,
            [format!("vas_proposed {vas}"), format!("vas_{state} {vas}")]
        );
    }
}

#[tokio::test]
async fn what_is_still_proposed_goes_with_its_doctor_and_with_the_consult() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let colleague = scene.service.doctor_of(&scene.team, "Dr. C").await;
    scene.service.bring_in(&scene.team, consult, &colleague).await;
    let confirmed = scene.propose(consult).await;
    scene.step(&scene.patient, confirmed, "confirm").await.result();
    let left = scene.propose(consult).await;
    let theirs = scene
        .post(&colleague, format!("/consult/{consult}/vas"), proposal())
        .await
        .result()["vas_id"]
        .as_i64()
        .unwrap();
    scene
        .delete(
            &scene.team.assistant,
            format!("/consult/{consult}/doctor/{}", scene.doctor.id),
        )
        .await
        .result();
    let state = async |vas: i64| {
        let shown = scene.get(&scene.patient, format!("/vas/{vas}")).await.result();
        shown["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(left).await, "withdrawn");
    assert_eq!(state(confirmed).await, "confirmed");
    assert_eq!(state(theirs).await, "proposed");
    scene
        .step(&scene.patient, left, "confirm")
        .await
        .refused(409, "vas.withdrawn");
    scene
        .post(&scene.patient, format!("/consult/{consult}/cancel"), json!({}))
        .await
        .result();
    assert_eq!(state(theirs).await, "withdrawn");
    scene
        .step(&scene.patient, theirs, "confirm")
        .await
        .refused(409, "vas.withdrawn");
    // A confirmed service stays confirmed, and a repeated press succeeds again.
    scene.step(&scene.patient, confirmed, "confirm").await.result();
    let story = story(&scene, consult).await;
    let end = [
        format!("vas_withdrawn {left}"),
        format!("-{}", scene.doctor.id),
        format!("vas_withdrawn {theirs}"),
        "cancelled false".to_owned(),
    ];
    assert_eq!(story[story.len() - 4..], end);
}

#[tokio::test]
async fn a_confirm_against_the_end_of_the_consult_tells_one_story() {
    let scene = Scene::new().await;
    for _ in 0..6 {
        let consult = scene.in_process().await;
        let vas = scene.propose(consult).await;
        let (confirm, finish) = (
            format!("/vas/{vas}/confirm"),
            format!("/consult/{consult}/finish"),
        );
        let (confirmed, finished) = tokio::join!(
            scene.patient.post(&scene.service, &confirm, json!({})).send(),
            scene.doctor.post(&scene.service, &finish, json!({})).send(),
        );
        finished.result();
        let told = told_of(&scene, consult, vas).await;
        if confirmed.status == 200 {
            assert_eq!(told[1..], [format!("vas_confirmed {vas}")]);
        } else {
            confirmed.refused(409, "vas.withdrawn");
            assert_eq!(told[1..], [format!("vas_withdrawn {vas}")]);
        }
    }
}
