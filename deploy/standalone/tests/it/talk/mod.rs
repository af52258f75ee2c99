//! The demo and the chat, as in the first minutes with the program.

mod chat;
mod demo;
mod terminal;
mod tour;
