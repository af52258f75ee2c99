//! What tests stand on: private PostgreSQL and Redis instances on free ports in temporary folders, proxies that
//! misbehave, and a whole fleet of plain processes, also for people without containers. What is started here is ended
//! here, by its process id; servers that run already are never touched.

pub mod backplane;
pub mod cluster;
pub mod fleet;
mod installation;
mod pid;
pub mod pooler;
pub mod port;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod sentinel;
pub mod store;
