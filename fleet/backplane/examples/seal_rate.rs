//! Measures sealing a publication and opening it again, beside a plain copy of it: one thread, no Redis.
//!
//!     cargo run --release -p backplane --example seal_rate
//!
//! It prints ns of each for payloads of 300 bytes (an entry of a chat) and of others, the best of some rounds; and of one
//! HMAC-SHA256 over as many bytes, the other way to authenticate them.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use backplane::{Channel, Identity, redis::Sealed};
use proto::ConversationId;
use ring::hmac;

/// How long each round measures: less than a time slice, so that some rounds are not interrupted.
const ROUND: Duration = Duration::from_millis(1);
/// Rounds, of which the fastest counts: whatever else runs makes the others slower.
const ROUNDS: usize = 1_000;
/// Payloads, bytes.
const SIZES: [usize; 4] = [40, 300, 2_000, 60_000];

fn main() {
    let sealed = Sealed::new(&Identity::random());
    let channel = Channel::Conversation(ConversationId::from_database(1_234_567));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    println!(
        "{:>8} {:>10} {:>10} {:>10} {:>10}",
        "bytes", "seal, ns", "open, ns", "copy, ns", "hmac, ns"
    );
    for size in SIZES {
        let payload = vec![0x5a; size];
        let publication = sealed.seal(channel, &payload);
        let seal = best(|| black_box(sealed.seal(channel, black_box(&payload))).len());
        // Opening consumes the bytes, so each call gets a copy.
        let copy = best(|| black_box(black_box(&publication).clone()).len());
        let open = best(|| sealed.open(channel, black_box(&publication).clone()));
        let hmac = best(|| hmac::sign(&key, black_box(&payload)).as_ref().len());
        println!(
            "{size:>8} {seal:>10.0} {:>10.0} {copy:>10.0} {hmac:>10.0}",
            open - copy
        );
    }
}

/// ns for one call.
fn best(mut work: impl FnMut() -> usize) -> f64 {
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (begun, mut calls) = (Instant::now(), 0_u32);
        while begun.elapsed() < ROUND {
            for _ in 0..50 {
                black_box(work());
            }
            calls += 50;
        }
        fastest = fastest.min(begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    fastest
}
