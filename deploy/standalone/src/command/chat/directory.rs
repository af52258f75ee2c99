//! Asks REST for the nodes and for IM passwords.

use std::net::{IpAddr, SocketAddr};

use proto::client::{Address, Directory, DirectoryError, Password};
use serde_json::Value;

use crate::rest::{CallError, Rest};

/// `GET /im/servers` and `GET /im/password`.
pub(super) struct Rested {
    rest: Rest,
}

impl Rested {
    pub(super) fn new(rest: Rest) -> Self {
        Self { rest }
    }
}

impl Directory for Rested {
    async fn servers(&self) -> Result<Vec<Address>, DirectoryError> {
        let servers = self.rest.get("/im/servers").await.map_err(refusal)?;
        let servers: Vec<Address> = servers
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(address)
            .collect();
        if servers.is_empty() {
            return Err(DirectoryError::Unavailable("no node is there now".into()));
        }
        Ok(servers)
    }

    async fn password(&self) -> Result<Password, DirectoryError> {
        let answer = self.rest.get("/im/password").await.map_err(refusal)?;
        match (answer["password"].as_str(), answer["expire"].as_u64()) {
            (Some(password), Some(expire_s)) => Ok(Password {
                password: password.to_owned(),
                expire_s,
            }),
            _ => Err(DirectoryError::Unavailable("/im/password gave none".into())),
        }
    }
}

fn address(server: &Value) -> Option<Address> {
    let ip: IpAddr = server["ip"].as_str()?.parse().ok()?;
    let port = u16::try_from(server["port"].as_u64()?).ok()?;
    Some(Address::tcp(SocketAddr::new(ip, port)))
}

fn refusal(error: CallError) -> DirectoryError {
    match error {
        CallError::Refused { status: 401, .. } => DirectoryError::Refused(error.to_string()),
        other => DirectoryError::Unavailable(other.to_string()),
    }
}
