//! Listeners: binding with errors that say what to change, and telling where they are.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
};

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::telemetry::LogFormat;

/// Connections that wait to be accepted: what a storm of logins brings while the accept loop is busy. The kernel cuts
/// it to net.core.somaxconn (4096 by default).
const BACKLOG: u32 = 8192;

/// Binds an address that the setting `flag` gave; port 0 picks a free one.
///
/// # Errors
/// When the address cannot be bound; the error names the flag and what to do.
pub async fn bind(flag: &str, address: impl Display) -> anyhow::Result<TcpListener> {
    let text = address.to_string();
    let addresses = resolve(&text)
        .await
        .with_context(|| format!("{flag} {text}: not an address; as in {flag} 127.0.0.1:9501"))?;
    let mut refusal = anyhow::anyhow!("{flag} {text}: no such host");
    for address in addresses {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                refusal = anyhow::anyhow!("{}", explain(flag, address, &error));
                // A name may have an address of a family that this machine does not speak.
                if !is_not_ours(&error) {
                    break;
                }
            }
        }
    }
    Err(refusal)
}

/// The listeners that a program has opened, by their short names.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[serde(transparent)]
pub struct Ports {
    open: BTreeMap<&'static str, SocketAddr>,
}

impl Ports {
    /// Adds a listener.
    ///
    /// # Errors
    /// When the kernel does not tell its address.
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

    /// Tells that everything accepts: prints a line for each listener (in the format of the log), writes all of them to a
    /// file as JSON, and says so to systemd. The file appears whole or not at all,
    /// and before the lines, so that whoever waits for either finds everything.
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
            // A reader that has gone away is no reason to stop.
            let _ = match format {
                LogFormat::Text => writeln!(out, "listening {name}={address}"),
                LogFormat::Json => writeln!(out, "{}", as_json(name, *address)),
            };
        }
        let _ = out.flush();
        crate::notify::ready();
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

/// A line as the log's own are.
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

async fn resolve(text: &str) -> anyhow::Result<Vec<SocketAddr>> {
    match text.parse() {
        Ok(address) => Ok(vec![address]),
        Err(_) => Ok(lookup_host(text).await?.collect()),
    }
}

fn is_not_ours(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait for the last connections of the process before it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn explain(flag: &str, address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is in use by another program; stop that one, or choose another port with {flag} (0 picks a free one)"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("{address} is no address of this machine; choose another with {flag}")
        }
        io::ErrorKind::PermissionDenied => format!(
            "{address} may not be opened by this user: ports below 1024 need a permission; choose another with {flag}"
        ),
        _ => format!("{address} ({flag}) cannot be opened: {error}"),
    }
}
