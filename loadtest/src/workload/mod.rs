//! The workloads, one file each; chat, direct and room are one with three shapes, `talk`.

mod bare;
mod fleet;
mod media;
mod quiet;
mod rest;
mod scale;
mod soak;
mod talk;

use anyhow::Result;

use crate::arguments::{Arguments, Command, LimitShape};
use crate::generator::crowd;
use crate::report::{Report, compare};
use crate::server::relay;
use talk::load::{self, Beside};
use talk::shape::Shape;

/// Runs the command; true when each check passed.
///
/// # Errors
/// When it cannot be done.
pub async fn run(arguments: Arguments) -> Result<bool> {
    match arguments.command {
        Command::Chat(chat) => {
            let shape = Shape::Chat(chat.shape);
            let beside = Beside::of(&shape, &chat.repeat, None);
            load::run(shape, chat.load, chat.target, chat.repeat.runs, beside).await
        }
        Command::Direct(direct) => {
            let inserts = direct.beside_single_inserts.then_some(direct.insert_connections);
            let shape = Shape::Direct(direct.shape);
            let beside = Beside::of(&shape, &direct.repeat, inserts);
            load::run(shape, direct.load, direct.target, direct.repeat.runs, beside).await
        }
        Command::Room(room) => {
            let shape = Shape::Room(room.shape);
            let beside = Beside::of(&shape, &room.repeat, None);
            load::run(shape, room.load, room.target, room.repeat.runs, beside).await
        }
        Command::Idle(idle) => quiet::idle(idle).await,
        Command::Login(login) => quiet::login(login).await,
        Command::Rest(rest) => rest::run(rest).await,
        Command::Media(media) => media::run(media).await,
        Command::Soak(soak) => soak::run(soak).await,
        Command::Recover(recover) => soak::recover::run(recover).await,
        Command::Scale(scale) => scale::run(scale).await,
        Command::Limit(limit) => match limit.shape {
            LimitShape::Direct(direct) => load::limit(Shape::Direct(direct.shape), direct.load, None).await,
            LimitShape::Chat(chat) => load::limit(Shape::Chat(chat.shape), chat.load, chat.fault).await,
            LimitShape::Room(room) => load::limit(Shape::Room(room.shape), room.load, None).await,
            LimitShape::Idle(idle) => quiet::limit_idle(idle).await,
            LimitShape::Login(login) => quiet::limit_login(login).await,
        },
        Command::Compare(reports) => {
            let (first, second) = (Report::read(&reports.first)?, Report::read(&reports.second)?);
            print!("{}", compare(&first, &second));
            Ok(true)
        }
        Command::Crowd(_) => crowd::process::run().await.map(|()| true),
        Command::Relay(relay) => relay::run(relay).await.map(|()| true),
    }
}
