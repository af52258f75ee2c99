//! The listeners of a process, announced once all of them accept.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
};

use anyhow::Context;
use tokio::net::TcpListener;

use crate::{machine::notify, telemetry::LogFormat};

/// The listeners of a process by name.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[serde(transparent)]
pub struct Ports {
    open: BTreeMap<&'static str, SocketAddr>,
}

impl Ports {
    /// Adds a listener.
    ///
    /// # Errors
    /// When the kernel does not know its address.
    pub fn add(&mut self, name: &'static str, listener: &TcpListener) -> anyhow::Result<()> {
        let address = listener
            .local_addr()
            .with_context(|| format!("the address of the {name} listener"))?;
        self.open.insert(name, address);
        Ok(())
    }

    /// All of them.
    pub fn all(&self) -> &BTreeMap<&'static str, SocketAddr> {
        &self.open
    }

    /// The address of a listener.
    pub fn get(&self, name: &str) -> Option<SocketAddr> {
        self.open.get(name).copied()
    }

    /// Announces that all listeners accept: writes them to a file as JSON, prints a line for each (in the format of the log),
    /// and notifies systemd. The file is written atomically and before the lines, so that it is complete when they appear.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce(&self, file: Option<&Path>, format: LogFormat) -> anyhow::Result<()> {
        if let Some(file) = file {
            self.write(file)
                .with_context(|| format!("--ports-file {} cannot be written", file.display()))?;
        }
        let mut out = io::stdout().lock();
        for (name, address) in &self.open {
            // Without a reader the program goes on.
            let _ = match format {
                LogFormat::Text => writeln!(out, "listening {name}={address}"),
                LogFormat::Json => writeln!(out, "{}", as_json(name, *address)),
            };
        }
        let _ = out.flush();
        notify::ready();
        Ok(())
    }

    fn write(&self, file: &Path) -> anyhow::Result<()> {
        let mut beside = file.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        std::fs::write(&beside, serde_json::to_vec(self)?)?;
        std::fs::rename(&beside, file)?;
        Ok(())
    }
}

/// A line like those of the JSON log.
fn as_json(name: &str, address: SocketAddr) -> serde_json::Value {
    serde_json::json!({
        "timestamp": jiff::Timestamp::now().to_string(),
        "level": "INFO",
        "message": "listening",
        "listener": name,
        "address": address,
        "target": module_path!(),
    })
}
