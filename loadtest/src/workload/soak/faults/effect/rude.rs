//! Connections of those who do not speak the protocol, beside the clients that do.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// How many of each kind.
const CONNECTIONS: usize = 8;

/// Their bytes.
const WORDS: [&[u8]; 6] = [
    // Nothing, never.
    b"",
    // The beginning of a length.
    &[0, 0],
    // A length of 2 GiB.
    &[0x7f, 0xff, 0xff, 0xff],
    // A frame that never ends.
    &[0, 0, 3, 0, 8, 1],
    // Bytes that are no protobuf.
    &[0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
    // A Ping before any Login.
    &[0, 0, 0, 4, 8, 3, 0x22, 0],
];

/// Connects, writes and stays for this long.
pub(in crate::workload::soak::faults) async fn stay(addresses: &[SocketAddr], length: Duration) {
    let mut open = Vec::new();
    for address in addresses {
        for word in WORDS.iter().cycle().take(WORDS.len() * CONNECTIONS) {
            // A refused connection is fine.
            if let Ok(mut stream) = TcpStream::connect(address).await
                && stream.write_all(word).await.is_ok()
            {
                open.push(stream);
            }
        }
    }
    sleep(length).await;
}
