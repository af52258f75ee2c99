//! Typed lines: messages and commands.

use proto::client::Events;
use serde_json::json;

use super::{
    super::{
        command::{self, Command, Typed},
        face::Came,
        json::{self, Asked},
    },
    Leaving, Stage, Talk,
};

impl Talk {
    pub(super) fn came(&mut self, came: Came, events: &mut Events) {
        match came {
            Came::Typed(line) => self.typed(&line, events),
            Came::Piped(line) => self.piped(&line),
            Came::Leave => self.leave(),
            Came::HangUp => self.leaving = Leaving::Now,
            Came::End => self.leaving = Leaving::WhenSent,
            Came::Nothing => {}
        }
    }

    /// Handles a line typed at a terminal.
    fn typed(&mut self, line: &str, events: &mut Events) {
        match command::read(line) {
            Typed::Nothing => {}
            Typed::Text(text) => {
                self.leaving = Leaving::No;
                if matches!(self.stage, Stage::Live) {
                    self.say(text);
                } else {
                    self.unaddressed.push_back(text.to_owned());
                }
            }
            Typed::Unknown(line) => self.tell(&self.language.unknown_command(line)),
            Typed::NoNumber(_) => self.tell(&self.language.number_needed()),
            Typed::NoFile => self.tell(&self.language.file_needed()),
            Typed::NoSeq => self.tell(&self.language.seq_needed()),
            Typed::Command(command) => self.obey(command, events),
        }
    }

    fn obey(&mut self, command: Command<'_>, events: &mut Events) {
        match command {
            Command::Help => self.tell(&self.language.help()),
            Command::Quit => self.leave(),
            Command::List => self.list(),
            Command::Resume => self.resume(events),
            Command::Who | Command::History | Command::Open(_) | Command::Send(_) | Command::Save { .. }
                if !matches!(self.stage, Stage::Live) =>
            {
                self.tell(&self.language.being_opened());
            }
            Command::Who => self.who(),
            Command::History => self.ask_for_older(),
            Command::Open(id) => self.go_to(id),
            Command::Send(file) => self.ask(&json!({ "send_file": file }).to_string(), file),
            Command::Save { seq, file } => {
                self.ask(&json!({"save_seq": seq, "path": file}).to_string(), "");
            }
        }
    }

    /// Replaces the session that has replaced this one.
    fn resume(&mut self, events: &mut Events) {
        if !self.link.is_replaced {
            return self.tell(&self.language.not_replaced());
        }
        let (client, new_events) = self.caller.call(events.snapshot().clone());
        self.client = client;
        *events = new_events;
        self.waiting.client_is_new();
        self.link.is_replaced = false;
        self.link.is_lost = true;
        self.link.bye = None;
    }

    /// Leaves at once if every message is acknowledged. Else it waits for that, or for a second request.
    fn leave(&mut self) {
        let count = self.unsent().count() + self.files.len();
        if count == 0 || self.leaving == Leaving::WhenSent || self.link.is_replaced {
            self.leaving = Leaving::Now;
        } else {
            self.leaving = Leaving::WhenSent;
            self.tell(&self.language.leaves_when_sent(count));
        }
    }

    /// Sends a text literally, even if it looks like JSON.
    pub(super) fn say(&mut self, text: &str) {
        let line = json!({ "text": text }).to_string();
        self.ask(&line, text);
    }

    /// Handles a line of a pipe.
    fn piped(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.face.is_json() {
            self.ask(line, line);
        } else {
            self.say(line);
        }
    }

    /// Does what a line in JSON asks for; `typed` is the line of the user.
    fn ask(&mut self, line: &str, typed: &str) {
        match json::read(line, self.conversation, new_id) {
            Ok(Asked::Message(message)) => {
                if self.face.echoes() {
                    self.echoed.insert(message.client_msg_id.clone());
                }
                self.waiting.push(message);
            }
            Ok(Asked::Send(file)) => self.send_file(file),
            Ok(Asked::Save(what)) => self.save(what),
            Err(error) => {
                self.well = false;
                let report = json!({"event": "input_error", "line": typed, "message": format!("{error:#}")})
                    .to_string();
                self.show(&report);
            }
        }
    }
}

fn new_id() -> String {
    // 128 random bits are unique without coordination.
    format!("{:032x}", rand::random::<u128>())
}
