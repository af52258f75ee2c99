//! The demo and the chat, as in the first minutes with the program.

mod chat;
mod clinic;
mod clock;
mod demo;
mod terminal;
mod tour;
