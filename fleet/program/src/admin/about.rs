//! What a process says of itself on its admin port.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use crate::accept::Ports;

/// What runs here, as /about says it: `huizhen check` knows its own server by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The program's name.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// The process.
    pub pid: u32,
    /// The id of the fleet whose database it works on.
    pub database: String,
    /// Its listeners by name.
    pub listeners: BTreeMap<String, SocketAddr>,
}

impl About {
    /// Of this process.
    pub fn new(program: &str, database: String, ports: &Ports) -> Self {
        Self {
            program: program.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            commit: crate::COMMIT.into(),
            pid: std::process::id(),
            database,
            listeners: ports
                .all()
                .iter()
                .map(|(name, address)| ((*name).to_owned(), *address))
                .collect(),
        }
    }
}
