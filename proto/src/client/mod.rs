//! The connection that a good client keeps.
//!
//! Two layers. [`Connection`] is a socket that speaks frames; it decides nothing, and the load generator and the
//! tests use it bare. [`Client`] keeps a session alive over many connections by the rules that `docs/protocol.md`
//! states on one page: log in, Sync with the app's copies, resend unacknowledged messages under the same
//! `client_msg_id`, renew the password in time, ping, come back with a growing and jittered delay, and stay away when
//! a node says so. Its decisions stand in machines without I/O (`state/`);
//! `session.rs` is the loop that moves bytes for them.
//!
//! ```no_run
//! use proto::client::{Address, Client, Directory, DirectoryError, Event, Password, Settings, Snapshot};
//! use proto::wire::Platform;
//!
//! struct Fixed;
//! impl Directory for Fixed {
//!     async fn servers(&self) -> Result<Vec<Address>, DirectoryError> {
//!         Ok(vec![Address::tcp(([127, 0, 0, 1], 9501).into())]) // GET /im/servers
//!     }
//!     async fn password(&self) -> Result<Password, DirectoryError> {
//!         Ok(Password { password: String::new(), expire_s: 3600 }) // GET /im/password
//!     }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings::new(17, "phone-1", Platform::Android);
//! let (client, mut events) = Client::start(Fixed, settings, Snapshot::default());
//! let id = client.send(4, "text/plain", "你好").await?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Sent { client_msg_id, seq, .. } if client_msg_id == id => println!("durable as {seq}"),
//!         Event::Entry(entry) => println!("{}: {} bytes", entry.sender_id, entry.body.len()),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod connection;
mod directory;
mod event;
mod handle;
mod session;
mod settings;
mod state;

pub use connection::{Connection, Reader, ReceiveError, Writer};
pub use directory::{Address, Directory, DirectoryError, Password, Tls};
pub use event::Event;
pub use handle::{Client, Ended, Events, RequestError};
pub use settings::Settings;
pub use state::{Backoff, Copy, Outgoing, Snapshot};
