//! A panic planted in the tasks that run for some rooms only, in a process: a large room, and a room that misses an
//! entry. `deploy/standalone/tests/it/server/vital.rs` plants the others.

use std::{fs::File, net::SocketAddr, path::Path};

use backplane::Identity;
use database::Database;
use journal::Journal;
use proto::wire::{Role, client_frame::Body as Request};
use telemetry::task::Name;
use testkit::{eventually, process::Spawned, redis::Redis};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{apart::over_redis, app::message, fleet::Fleet};

/// Sessions of a user, and users, of a room that a task of its own serves.
const DEVICES: i64 = 10;
const USERS: i64 = 7;

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_fan_out_of_a_large_room_ends_the_process() {
    ends_by(Name::NodeFanOut, async |fleet, node, planted| {
        let users: Vec<(i64, Role)> = (1..=USERS).map(|user| (user, Role::Assistant)).collect();
        let consult = fleet.conversation(&users).await;
        let mut apps = Vec::new();
        for at in 0..USERS * DEVICES {
            let mut app = fleet
                .log_in_at(node, 1 + at % USERS, &format!("device {at}"))
                .await;
            app.sync_all().await;
            // Its own entries come behind it, so that it is live before the next one attaches.
            let id = format!("live {at}");
            app.say(consult, &id, "hello").await.unwrap();
            apps.push(app);
        }
        File::create(planted).unwrap();
        // One that is refused on a busy machine fans nothing out.
        for (at, app) in apps.iter_mut().enumerate() {
            let id = format!("last {at}");
            app.send(Request::Send(message(consult, &id, "hello"))).await;
        }
        apps
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_reading_of_a_gap_ends_the_process() {
    ends_by(Name::NodeGap, async |fleet, node, planted| {
        let consult = fleet.consult().await;
        let mut app = fleet.log_in_at(node, 1, "phone").await;
        app.sync_all().await;
        app.say(consult, "live", "hello").await.unwrap();
        File::create(planted).unwrap();
        // The publication of the first one is lost.
        fleet.join_unheard(consult, 3).await;
        fleet.join(consult, 4, Role::Assistant).await;
        vec![app]
    })
    .await;
}

/// Starts a node, lets `work` bring its task about after it has made the file that plants the panic, and sees the end. The
/// sessions that `work` returns stay until then.
async fn ends_by<T>(task: Name, work: impl AsyncFnOnce(&Fleet, SocketAddr, &Path) -> T) {
    let place = super::STORE.place(crate::migrated).await;
    let folder = tempfile::tempdir().unwrap();
    let planted = folder.path().join("planted");
    let redis_url = Redis::shared().prefixed_url();
    let arguments = [
        "--database-url",
        place.url(),
        "--redis-url",
        &redis_url,
        "--im-addr=127.0.0.1:0",
        "--ws-addr=127.0.0.1:0",
        "--admin-addr=127.0.0.1:0",
        "--drain-s=0",
    ];
    let plant = format!("{task}@{}", planted.display());
    let (process, ports) = Spawned::start_in(
        Path::new(env!("CARGO_BIN_EXE_im-server")),
        &arguments.map(str::to_owned),
        &[("HUIZHEN_PLANT_PANIC".to_owned(), plant)],
        folder.path(),
        "node",
    )
    .await
    .unwrap();
    let admin = ports.admin.unwrap();

    let database = Database::open(place.url()).await.unwrap();
    let identity = database.fleet().await.unwrap();
    let backplane = over_redis(&redis_url, &Identity::new(identity.id, identity.key)).await;
    let fleet = Fleet::over(Journal::new(database, backplane), place);
    assert!(readiness(admin).await.starts_with("HTTP/1.1 200"));
    let _sessions = work(&fleet, ports.im.unwrap(), &planted).await;
    let failed = format!("the vital task {task} failed");
    eventually("/readyz names the task", async || {
        let answer = readiness(admin).await;
        answer.starts_with("HTTP/1.1 503") && answer.contains(&failed)
    })
    .await;
    assert_eq!(process.ended().await.unwrap().code(), Some(1));
    let log = std::fs::read_to_string(folder.path().join("node.log")).unwrap();
    let of_task = format!("task={task} ");
    let is_its_line = |line: &&str| line.contains("a vital task panicked") && line.contains(&of_task);
    assert_eq!(
        log.lines()
            .filter(is_its_line)
            .filter(|line| line.contains("ERROR"))
            .count(),
        1,
        "{log}"
    );
}

/// The whole answer of /readyz; empty when nothing accepts.
async fn readiness(admin: SocketAddr) -> String {
    let request = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(admin).await
        && stream.write_all(request).await.is_ok()
    {
        // A connection that is cut leaves what came before.
        let _ = stream.read_to_string(&mut answer).await;
    }
    answer
}
