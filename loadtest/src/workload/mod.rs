//! The workloads, one file each; chat, direct and room are one with three shapes.

mod fleet;
mod load;
mod quiet;
mod rest;
mod shape;
mod soak;
mod stopped;

use anyhow::Result;

use crate::arguments::{Arguments, Command, LimitShape};
use crate::relay;
use crate::report::{Report, compare};
use shape::Shape;

pub use soak::plan::{FAULTS, Fault};

/// Does what was typed; tells whether every check passed.
///
/// # Errors
/// When it cannot be done.
pub async fn run(arguments: Arguments) -> Result<bool> {
    match arguments.command {
        Command::Chat(chat) => {
            let shape = Shape::Chat(chat.shape);
            load::run(shape, chat.load, chat.target, chat.repeat).await
        }
        Command::Direct(direct) => {
            let shape = Shape::Direct(direct.shape);
            load::run(shape, direct.load, direct.target, direct.repeat).await
        }
        Command::Room(room) => {
            let shape = Shape::Room(room.shape);
            load::run(shape, room.load, room.target, room.repeat).await
        }
        Command::Idle(idle) => quiet::idle(idle).await,
        Command::Login(login) => quiet::login(login).await,
        Command::Rest(rest) => rest::run(rest).await,
        Command::Soak(soak) => soak::run(soak).await,
        Command::Limit(limit) => match limit.shape {
            LimitShape::Direct(direct) => load::limit(Shape::Direct(direct.shape), direct.load).await,
            LimitShape::Chat(chat) => load::limit(Shape::Chat(chat.shape), chat.load).await,
            LimitShape::Room(room) => load::limit(Shape::Room(room.shape), room.load).await,
            LimitShape::Idle(idle) => quiet::limit_idle(idle).await,
            LimitShape::Login(login) => quiet::limit_login(login).await,
        },
        Command::Compare(reports) => {
            let (first, second) = (Report::read(&reports.first)?, Report::read(&reports.second)?);
            print!("{}", compare(&first, &second));
            Ok(true)
        }
        Command::Relay(relay) => relay::run(relay).await.map(|()| true),
    }
}
