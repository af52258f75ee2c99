//! Delivery and catching up against a simulated world: the very code of a node, with a journal in memory, tasks that are
//! polled by hand, and a client that judges each frame as it comes off the socket.

mod device;
mod fan_out;
mod model;
mod scripts;
mod sim;
