//! Delivery against a simulated world: the node's own code, with a journal in memory, tasks that are polled by hand,
//! and a client that judges each frame as it leaves the socket.

mod device;
mod fan_out;
mod model;
mod scripts;
mod sim;
