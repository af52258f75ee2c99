//! Nodes and api-servers that come and go, as real processes: nothing is set anywhere else for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loadtest::world::rest::Rest;
use proto::wire::ByeReason;
use testkit::eventually;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::running::{Member, Running, assert_heard_alike};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_started_takes_load() {
    let mut running = Box::pin(Running::start(1, 2, &[])).await;
    let world = running.builder.loners(30).await.unwrap();
    let _first = running.members(&world.users[..20]).await;
    running.sessions_become(&[0], 20).await;
    running.fleet.add_node().await.unwrap();
    let new = running.fleet.nodes[1].address().unwrap();
    // Both api-servers name it first: it has no session yet.
    for url in running.fleet.rest_urls() {
        let rest = Rest::new(&url).unwrap();
        eventually("the new node comes first", async || {
            let servers = rest.servers(&world.users[0].access_token).await.unwrap();
            servers.len() == 2 && servers[0].tcp().unwrap() == new
        })
        .await;
    }
    let _second = running.members(&world.users[20..]).await;
    running.sessions_become(&[1], 10).await;
    assert_eq!(running.sessions(0).await, 20);
    Box::pin(running.fleet.end()).await.unwrap();
}

/// Sends now and then until it is stopped; returns the texts.
async fn talk(member: Arc<Member>, conversation_id: i64, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut said = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let text = format!("{}-{}", member.user_id, said.len());
        member.say(conversation_id, &text).await;
        said.push(text);
        sleep(Duration::from_millis(40)).await;
    }
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_stopped_hands_its_sessions_over_and_no_send_fails() {
    let mut running = Box::pin(Running::start(3, 1, &["--drain-s=5"])).await;
    let world = running.builder.consults(12, 3).await.unwrap();
    let members: Vec<Arc<Member>> = running
        .members(&world.users)
        .await
        .into_iter()
        .map(Arc::new)
        .collect();
    running
        .sessions_become(&[0, 1, 2], world.users.len() as u64)
        .await;
    let moving = running.sessions(0).await;
    assert!(moving > 0);
    let stop = Arc::new(AtomicBool::new(false));
    let mut talking = JoinSet::new();
    for conversation in &world.conversations {
        for member in &conversation.members {
            let (member, id) = (members[*member as usize].clone(), conversation.id);
            let talk = talk(member, id, stop.clone());
            talking.spawn(async move { (id, talk.await) });
        }
    }
    eventually("sends are acknowledged", async || {
        members.iter().all(|member| !member.log().acked.is_empty())
    })
    .await;

    running.fleet.nodes[0].terminate().await.unwrap();
    // Talk goes on on the other nodes for a while.
    let acked = |members: &[Arc<Member>]| {
        members
            .iter()
            .map(|member| member.log().acked.len())
            .sum::<usize>()
    };
    let so_far = acked(&members);
    eventually("talk goes on", async || acked(&members) > so_far + 200).await;
    // Sessions are sent away over a part of the drain time: sends go on until the last one is.
    let sent_away = || {
        members
            .iter()
            .filter(|member| !member.log().byes.is_empty())
            .count() as u64
    };
    eventually("all of the node's are sent away", async || sent_away() >= moving).await;
    running.sessions_become(&[1, 2], members.len() as u64).await;
    stop.store(true, Ordering::Relaxed);
    let mut said: Vec<(i64, Vec<String>)> = Vec::new();
    while let Some(one) = talking.join_next().await {
        said.push(one.unwrap());
    }
    let all: usize = said.iter().map(|(_, texts)| texts.len()).sum();
    eventually("everything is acknowledged", async || acked(&members) == all).await;

    for member in &members {
        let log = member.log();
        assert!(log.failed.is_empty(), "{:?}", log.failed);
        assert!(
            log.byes.iter().all(|bye| *bye == ByeReason::Draining),
            "{:?}",
            log.byes
        );
    }
    let moved: Vec<_> = members
        .iter()
        .filter(|member| !member.log().byes.is_empty())
        .collect();
    assert_eq!(
        moved.len() as u64,
        moving,
        "others were sent away, or not all of the node's"
    );
    for member in moved {
        let log = member.log();
        assert_eq!(log.disconnected, 1, "one way, without detours");
    }
    for conversation in &world.conversations {
        let texts: HashSet<String> = said
            .iter()
            .filter(|(id, _)| *id == conversation.id)
            .flat_map(|(_, texts)| texts.iter().cloned())
            .collect();
        let members: Vec<&Member> = conversation
            .members
            .iter()
            .map(|member| &*members[*member as usize])
            .collect();
        eventually("everything is heard", async || {
            members.iter().all(|member| {
                let log = member.log();
                log.heard
                    .get(&conversation.id)
                    .is_some_and(|heard| heard.len() >= texts.len())
            })
        })
        .await;
        assert_heard_alike(conversation.id, &members, &texts);
    }
    Box::pin(running.fleet.end()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_of_a_killed_node_are_back_on_the_others_without_a_storm() {
    let mut running = Box::pin(Running::start(3, 2, &[])).await;
    let world = running.builder.loners(300).await.unwrap();
    let members = running.members(&world.users).await;
    running.sessions_become(&[0, 1, 2], 300).await;
    let before = [
        running.sessions(0).await,
        running.sessions(1).await,
        running.sessions(2).await,
    ];
    // A crowd that comes at once is spread over the nodes, not sent to the one that was the least loaded a moment ago.
    assert!(before.iter().all(|sessions| *sessions >= 60), "{before:?}");
    running.directory_tells(300).await;

    running.fleet.nodes[0].kill().unwrap();
    eventually("its clients notice", async || {
        members
            .iter()
            .filter(|member| member.log().disconnected > 0)
            .count() as u64
            >= before[0]
    })
    .await;
    eventually("everybody is back", async || {
        members.iter().all(|member| member.log().is_synced)
    })
    .await;
    let lost: Vec<&Member> = members
        .iter()
        .filter(|member| member.log().disconnected > 0)
        .collect();
    assert_eq!(
        lost.len() as u64,
        before[0],
        "clients of other nodes were disturbed"
    );
    // The dead node's address is handed out for some seconds more; a good client tries another one first.
    let attempts: Vec<u32> = lost.iter().map(|member| member.log().disconnected).collect();
    assert!(attempts.iter().all(|attempts| *attempts == 1), "{attempts:?}");
    assert!(lost.iter().all(|member| member.log().byes.is_empty()));
    running.sessions_become(&[1, 2], 300).await;
    for node in [1, 2] {
        let got = running.sessions(node).await - before[node];
        assert!(got * 4 >= before[0], "node {node} got {got} of {}", before[0]);
    }
    eventually("the dead node is gone", async || {
        running
            .rest
            .servers(&world.users[0].access_token)
            .await
            .unwrap()
            .len()
            == 2
    })
    .await;
    Box::pin(running.fleet.end()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_servers_stand_in_for_each_other() {
    let mut running = Box::pin(Running::start(1, 2, &[])).await;
    let world = running.builder.loners(40).await.unwrap();
    let token = world.users[0].access_token.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let mut asking = JoinSet::new();
    for user in &world.users[..10] {
        let (rest, token, stop) = (running.rest.clone(), user.access_token.clone(), stop.clone());
        asking.spawn(async move {
            let mut answers = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(rest.servers(&token).await.unwrap().len(), 1);
                rest.im_password(&token).await.unwrap();
                answers += 1;
            }
            answers
        });
    }
    for killed in [0, 1] {
        let urls = running.fleet.rest_urls();
        running.fleet.api_servers[killed].kill().unwrap();
        // The other one knows the users who registered at either.
        let other = Rest::new(&urls[1 - killed]).unwrap();
        for user in &world.users {
            other.im_password(&user.access_token).await.unwrap();
        }
        let newcomers = &world.users[killed * 20..killed * 20 + 20];
        let members = running.members(newcomers).await;
        assert!(members.iter().all(|member| member.log().is_synced));
        running.fleet.api_servers[killed].start().await.unwrap();
        // It listens elsewhere now, as a new one would.
        let again = running.fleet.api_servers[killed].address().unwrap();
        let again = Rest::new(&format!("http://{again}")).unwrap();
        assert_eq!(again.servers(&token).await.unwrap().len(), 1);
        running.rest = Rest::new(&running.fleet.rest_urls().join(",")).unwrap();
        if killed == 0 {
            stop.store(true, Ordering::Relaxed);
            while let Some(answers) = asking.join_next().await {
                assert!(answers.unwrap() > 0);
            }
        }
    }
    Box::pin(running.fleet.end()).await.unwrap();
}
