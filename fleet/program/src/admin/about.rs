//! The self-description of a process on its admin port.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use crate::accept::Ports;

/// The answer of /about, by which `huizhen check` recognises its own server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The program's name.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The commit of the build.
    pub commit: String,
    /// The process.
    pub pid: u32,
    /// The id of the fleet that owns its database.
    pub database: String,
    /// Its listeners by name.
    pub listeners: BTreeMap<String, SocketAddr>,
}

impl About {
    /// The self-description of this process.
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
