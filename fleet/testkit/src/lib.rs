//! For tests: private PostgreSQL and Redis instances on free ports in temporary folders, proxies that misbehave, a
//! whole fleet of plain processes, bounded waiting, and random numbers that can be repeated. Each process started here
//! is ended here, by its id; servers that already run are never touched.

pub mod citus;
pub mod fleet;
pub mod postgres;
pub mod process;
pub mod proxy;
mod random;
pub mod redis;
pub mod store;
mod wait;

pub use postgres::pooler;
pub use process::port;
pub use random::Random;
pub use redis::{backplane, cluster, sentinel};
pub use wait::{PATIENCE, eventually, eventually_ok};
