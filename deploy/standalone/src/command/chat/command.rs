//! Commands: typed lines that begin with a slash.

/// The kinds of typed lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed<'a> {
    /// A message.
    Text(&'a str),
    Command(Command),
    /// An unknown command.
    Unknown(&'a str),
    /// A command without the conversation's number that it needs.
    NoNumber(&'a str),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Who,
    /// Shows older entries.
    History,
    /// Lists the conversations.
    List,
    /// Switches to another conversation.
    Open(i64),
    /// Replaces the session that has replaced this one.
    Resume,
    Quit,
}

/// Parses a line typed at a terminal. `//` sends a slash.
pub(super) fn read(line: &str) -> Typed<'_> {
    if line.trim().is_empty() {
        return Typed::Nothing;
    }
    let Some(rest) = line.strip_prefix('/') else {
        return Typed::Text(line);
    };
    if rest.starts_with('/') {
        return Typed::Text(rest);
    }
    let mut words = rest.split_whitespace();
    let name = words.next().unwrap_or_default();
    let argument = words.next();
    if words.next().is_some() || (argument.is_some() && name != "open") {
        return Typed::Unknown(line);
    }
    Typed::Command(match name {
        "help" | "h" | "?" => Command::Help,
        "who" => Command::Who,
        "history" => Command::History,
        "list" => Command::List,
        "open" => match argument.and_then(|number| number.parse().ok()) {
            Some(id) => Command::Open(id),
            None => return Typed::NoNumber(line),
        },
        "resume" => Command::Resume,
        "quit" | "q" | "exit" => Command::Quit,
        _ => return Typed::Unknown(line),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_is_not_sent_unless_it_is_doubled() {
        assert_eq!(read("体温 38/39"), Typed::Text("体温 38/39"));
        assert_eq!(read("//help"), Typed::Text("/help"));
        assert_eq!(read(" /help"), Typed::Text(" /help"));
        assert_eq!(read("/help"), Typed::Command(Command::Help));
        assert_eq!(read("/open 12"), Typed::Command(Command::Open(12)));
        assert_eq!(read("/quit "), Typed::Command(Command::Quit));
        assert_eq!(read("  "), Typed::Nothing);
        for unknown in ["/", "/hepl", "/quit now", "/help me please", "/帮助"] {
            assert_eq!(read(unknown), Typed::Unknown(unknown));
        }
        for bad in ["/open", "/open x"] {
            assert_eq!(read(bad), Typed::NoNumber(bad));
        }
    }
}
