//! The cost of checksums, of an entry and of a page: `cargo run --release -p database --example checksum_cost`.

use std::hint::black_box;

use database::{Part, checksum, sqlite::page_sum};

const ROUNDS: u32 = 200_000;

fn main() {
    for bytes in [20, 200, 2_000, 60_000] {
        let body = vec![b'x'; bytes];
        let started = cpu_ns();
        for round in 0..ROUNDS {
            let row = [
                Part::Integer(i64::from(round)),
                Part::Integer(2),
                Part::Integer(3),
                Part::Integer(1),
                Part::Integer(1_764_000_000_000),
                Part::Text(b"0192f0c1-7c1e-7c1e-8c1e-0192f0c17c1e"),
                Part::Text(b"text/plain"),
                Part::Bytes(&body),
                Part::Integer(0),
                Part::Integer(0),
                Part::Null,
            ];
            black_box(checksum(black_box(row)));
        }
        let each = (cpu_ns() - started) / u64::from(ROUNDS);
        println!("a body of {bytes} bytes: {each} ns of CPU an entry");
    }
    let page: Vec<u8> = (0..4_088_u32).map(|at| (at * 7 % 251) as u8).collect();
    let started = cpu_ns();
    for _ in 0..ROUNDS {
        black_box(page_sum(black_box(&page)));
    }
    let each = (cpu_ns() - started) / u64::from(ROUNDS);
    println!("a page of 4096 bytes: {each} ns of CPU");
}

/// CPU time of this thread, ns: others may use the machine.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = stat.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or(0)
}
