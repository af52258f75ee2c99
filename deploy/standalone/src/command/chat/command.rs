//! Commands: typed lines that begin with a slash.

/// The kinds of typed lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed<'a> {
    /// A message.
    Text(&'a str),
    Command(Command<'a>),
    /// An unknown command.
    Unknown(&'a str),
    /// A command without the conversation's number that it needs.
    NoNumber(&'a str),
    /// `/send` without a file.
    NoFile,
    /// `/save` without the number of a message.
    NoSeq,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Help,
    Who,
    /// Shows older entries.
    History,
    /// Lists the conversations.
    List,
    /// Switches to another conversation.
    Open(i64),
    /// Uploads a file and sends it.
    Send(&'a str),
    /// Saves the media of an entry.
    Save {
        seq: i64,
        file: Option<&'a str>,
    },
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
    let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let argument = argument.trim();
    if !argument.is_empty() && !["open", "send", "save"].contains(&name) {
        return Typed::Unknown(line);
    }
    Typed::Command(match name {
        "help" | "h" | "?" => Command::Help,
        "who" => Command::Who,
        "history" => Command::History,
        "list" => Command::List,
        "open" => match argument.parse() {
            Ok(id) => Command::Open(id),
            Err(_) => return Typed::NoNumber(line),
        },
        "send" if argument.is_empty() => return Typed::NoFile,
        "send" => Command::Send(argument),
        "save" => match save(argument) {
            Some(save) => save,
            None => return Typed::NoSeq,
        },
        "resume" => Command::Resume,
        "quit" | "q" | "exit" => Command::Quit,
        _ => return Typed::Unknown(line),
    })
}

/// `SEQ` or `SEQ FILE`; a file's name may have spaces.
fn save(argument: &str) -> Option<Command<'_>> {
    let (seq, file) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let file = file.trim();
    Some(Command::Save {
        seq: seq.parse().ok().filter(|seq| *seq > 0)?,
        file: (!file.is_empty()).then_some(file),
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
        let file = "检查 报告.pdf";
        assert_eq!(read("/send 检查 报告.pdf "), Typed::Command(Command::Send(file)));
        let save = |file| Typed::Command(Command::Save { seq: 7, file });
        assert_eq!(read("/save 7"), save(None));
        assert_eq!(read("/save 7 检查 报告.pdf"), save(Some(file)));
        assert_eq!(read("/send"), Typed::NoFile);
        for bad in ["/save", "/save x", "/save 0 a.png"] {
            assert_eq!(read(bad), Typed::NoSeq);
        }
        for unknown in ["/", "/hepl", "/quit now", "/help me please", "/帮助"] {
            assert_eq!(read(unknown), Typed::Unknown(unknown));
        }
        for bad in ["/open", "/open x"] {
            assert_eq!(read(bad), Typed::NoNumber(bad));
        }
    }
}
