//! Binds listeners. Each error names the setting to change.

use std::{fmt::Display, io, net::SocketAddr};

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// Connections that wait to be accepted, sized for a storm of logins. The kernel caps it at net.core.somaxconn (4096 by
/// default).
const BACKLOG: u32 = 8192;

/// Binds the address of the setting `flag`; port 0 picks a free one.
///
/// # Errors
/// When the address cannot be bound; the error names the flag and the remedy.
pub async fn bind(flag: &str, address: impl Display) -> anyhow::Result<TcpListener> {
    let text = address.to_string();
    let addresses = resolve(&text)
        .await
        .with_context(|| format!("{flag} {text}: not an address; an example is {flag} 127.0.0.1:9501"))?;
    let mut refusal = anyhow::anyhow!("{flag} {text}: no such host");
    for address in addresses {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                refusal = anyhow::anyhow!("{}", explain(flag, address, &error));
                // A name may resolve to an address family that this machine lacks.
                if !is_foreign(&error) {
                    break;
                }
            }
        }
    }
    Err(refusal)
}

/// Resolves `IP:PORT` or `NAME:PORT`.
///
/// # Errors
/// When the text is neither.
pub async fn resolve(text: &str) -> anyhow::Result<Vec<SocketAddr>> {
    match text.parse() {
        Ok(address) => Ok(vec![address]),
        Err(_) => Ok(lookup_host(text).await?.collect()),
    }
}

fn is_foreign(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait for the connections of the previous process to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn explain(flag: &str, address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is in use by another program; stop that program, or choose another port with {flag} (0 picks a free one)"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("{address} is not an address of this machine; choose another with {flag}")
        }
        io::ErrorKind::PermissionDenied => format!(
            "this user may not open {address}: ports below 1024 need a permission; choose another with {flag}"
        ),
        _ => format!("{address} ({flag}) cannot be opened: {error}"),
    }
}
