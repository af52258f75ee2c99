//! I7 in bytes: the memory of sessions that ask for hundreds of long entries and stop reading.

use std::sync::atomic::{AtomicU32, Ordering};

use prost::Message;
use proto::{
    frame,
    wire::{ClientFrame, ServerFrame, Sync, client_frame::Body as Request, server_frame::Body},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    app::{App, login},
    fleet::Fleet,
};
use crate::{ALLOCATED, ALONE};

const DEVICES: usize = 40;
/// Devices that stop before the count begins.
const WARMING: usize = 20;
const ENTRIES: u32 = 500;
const BODY_BYTES: usize = 60_000;
/// By how much each entry is shorter than the one before it, bytes.
const DIFFERENCE: usize = 37;
/// Most bytes of one session that has stopped reading: the one frame that it writes, and what its task holds (in a debug build).
const MOST_BYTES_EACH: usize = BODY_BYTES + 8 * 1024;
/// Messages that are acknowledged between two looks.
const MEANWHILE: u32 = 50;
/// Numbers those messages.
static SHORT: AtomicU32 = AtomicU32::new(0);

/// I7: what is asked for is not held for a session that does not read it.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_asks_for_thirty_megabytes_and_stops_reading_costs_one_entry() {
    let _alone = ALONE.lock().await;
    let fleet = Fleet::start_with(&["--sends-per-s", "10000", "--slow-limit-s", "300"], 1).await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    for number in 0..ENTRIES {
        let body = "x".repeat(BODY_BYTES - DIFFERENCE * number as usize);
        patient
            .say(consult, &format!("long {number}"), &body)
            .await
            .unwrap();
    }
    let mut stopped = Vec::new();
    // The first ones also fill what does not grow with their number: caches, buffers of connections to the database.
    stop_reading(&fleet, &mut stopped, WARMING).await;
    let before = settled(&mut patient, consult).await;
    stop_reading(&fleet, &mut stopped, DEVICES).await;
    let held = settled(&mut patient, consult).await.saturating_sub(before);
    assert_eq!(
        fleet.nodes[0].0.sessions(),
        WARMING + DEVICES + 1,
        "nobody was ended"
    );
    let each = held / DEVICES;
    assert!(
        each <= MOST_BYTES_EACH,
        "{each} bytes for each of {DEVICES} sessions"
    );
}

/// Logs more devices in, which Sync everything and read nothing.
async fn stop_reading(fleet: &Fleet, stopped: &mut Vec<TcpStream>, count: usize) {
    for _ in 0..count {
        let mut stream = logged_in(fleet, &format!("stopped {}", stopped.len())).await;
        let sync = Request::Sync(Sync {
            // Each begins at another entry, so that the kernel stops taking at another place of one.
            limit: ENTRIES - stopped.len() as u32,
            ..Sync::default()
        });
        send(&mut stream, sync).await;
        // Its session pulls from here on.
        stream.readable().await.unwrap();
        stopped.push(stream);
    }
}

/// Allocated bytes once sessions have stopped pulling, when the kernel buffers are full. Two equal measurements
/// confirm it, with messages of other users acknowledged in between.
async fn settled(patient: &mut App, consult: i64) -> usize {
    let mut last = usize::MAX;
    loop {
        for _ in 0..MEANWHILE {
            let id = format!("short {}", SHORT.fetch_add(1, Ordering::Relaxed));
            patient.say(consult, &id, "x").await.unwrap();
        }
        let now = ALLOCATED.current_usage();
        if now.abs_diff(last) < BODY_BYTES {
            return now;
        }
        last = now;
    }
}

/// A connection that holds nothing on this side: the count is of the whole process.
async fn logged_in(fleet: &Fleet, device: &str) -> TcpStream {
    let password = fleet.password(2, device).await;
    let mut stream = TcpStream::connect(fleet.ports().tcp()).await.unwrap();
    send(&mut stream, Request::Login(login(2, device, &password))).await;
    let length = stream.read_u32().await.unwrap();
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await.unwrap();
    let frame = ServerFrame::decode(&*frame).unwrap();
    assert!(matches!(frame.body, Some(Body::LoginOk(_))));
    stream
}

async fn send(stream: &mut TcpStream, body: Request) {
    let frame = ClientFrame {
        request_id: 1,
        body: Some(body),
    };
    stream.write_all(&frame::encode(&frame)).await.unwrap();
}
