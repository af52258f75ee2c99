//! Connections: the address of a URL, its servers, and a pool.

mod address;
mod hosts;
mod notices;
mod pool;
mod pooler;
mod tls;

pub(crate) use self::address::is_postgres;
pub use self::notices::Unconfirmed;
pub(super) use self::{
    address::{Address, CONNECT_LIMIT},
    hosts::{Away, Connected, Hosts},
    pool::{CONNECTIONS, Manager, Object, Pool},
    pooler::first,
    tls::connector,
};
