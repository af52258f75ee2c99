//! `docs/protocol.md`: prose by hand, tables and bytes from the code between two markers each.

use std::{fmt::Write, path::PathBuf};

use proto::{
    bye::{self, Advice},
    mime::{self, Form, Senders},
};

use super::{
    examples::{Example, framed, from_clients, from_nodes},
    reflect::{decoded, pool},
};

/// Bytes of a line of hex.
const HEX_LINE: usize = 32;

#[test]
fn protocol_md_is_what_the_code_says() {
    let text = read("protocol.md");
    let text = replace(&text, "bye reasons", &bye_reasons());
    let text = replace(&text, "error codes", &error_codes());
    let text = replace(&text, "mime types", &mime_types());
    let text = replace(&text, "frames from apps", &frames(&from_clients()));
    let text = replace(&text, "frames from nodes", &frames(&from_nodes()));
    hold("protocol.md", &text);
}

/// A page of docs/.
pub(super) fn read(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a page with what it should be, or rewrites it when UPDATE is set.
pub(super) fn hold(name: &str, text: &str) {
    let path = path(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some((number, (is, should))) = found
        .lines()
        .chain(std::iter::repeat(""))
        .zip(text.lines())
        .enumerate()
        .find(|(_, (is, should))| is != should)
    {
        panic!(
            "docs/{name}, line {}: is\n  {is}\nand should be\n  {should}\nUPDATE=1 cargo test -p proto rewrites it, if this change of the contract is meant",
            number + 1
        );
    }
    assert_eq!(found.len(), text.len(), "docs/{name} has lines too many");
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "docs", name].iter().collect()
}

fn replace(text: &str, section: &str, content: &str) -> String {
    let begin = format!("<!-- generated: {section} -->\n");
    let end = "<!-- end of generated -->";
    let (before, rest) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("docs/protocol.md has no {begin}"));
    let (_, after) = rest.split_once(end).expect("each generated part has an end");
    format!("{before}{begin}\n{content}\n{end}{after}")
}

fn bye_reasons() -> String {
    let mut table = String::from("| number | reason | the app | why |\n|---|---|---|---|\n");
    for reason in bye::ALL {
        let name = reason.as_str_name();
        let advice = match bye::advice(reason as i32) {
            Advice::ComeBack => "comes back",
            Advice::NewPassword => "gets a new password, comes back",
            Advice::StayAway => "stays away",
        };
        let why = comment("session.proto", name);
        let word = name.strip_prefix("BYE_REASON_").unwrap();
        let _ = writeln!(table, "| {} | {word} | {advice} | {why} |", reason as i32);
    }
    table.trim_end().to_owned()
}

fn error_codes() -> String {
    let mut table = String::from("| number | code | why |\n|---|---|---|\n");
    let codes = pool().get_enum_by_name("huizhen.v1.ErrorCode").unwrap();
    for code in codes.values().filter(|code| code.number() != 0) {
        let word = code.name().strip_prefix("ERROR_CODE_").unwrap();
        let why = comment("session.proto", code.name());
        let _ = writeln!(table, "| {} | {word} | {why} |", code.number());
    }
    table.trim_end().to_owned()
}

fn mime_types() -> String {
    let mut table = String::from("| type | body | who may send it |\n|---|---|---|\n");
    for registered in mime::REGISTRY {
        let body = match registered.form {
            Form::Text => "UTF-8 text, not empty, without NUL",
            Form::Image => "`Image`",
            Form::Audio => "`Audio`",
            Form::Video => "`Video`",
            Form::File => "`File`",
            Form::Location => "`Location`",
            Form::Vas => "`VasCard`",
            Form::Advice => "`AdviceCard`",
            Form::Consult => "`ConsultCard`",
            Form::Call => "`CallCard`",
            Form::Notice => "`Notice`",
        };
        let senders = match registered.senders {
            Senders::Everybody => "everybody",
            Senders::Staff => "doctors and assistants",
            Senders::Doctors => "doctors",
            Senders::Assistants => "assistants",
            Senders::Server => "the server only",
        };
        let _ = writeln!(table, "| `{}` | {body} | {senders} |", registered.mime_type);
    }
    table.trim_end().to_owned()
}

fn frames(examples: &[Example]) -> String {
    let pool = pool();
    let mut text = String::new();
    for example in examples {
        let bytes = framed(&example.bytes);
        let _ = writeln!(text, "**{}**: {}\n\n```", example.name, example.about);
        for line in hex_lines(&bytes) {
            let _ = writeln!(text, "{line}");
        }
        let fields = decoded(&pool, example.sender.envelope(), &example.bytes);
        let _ = writeln!(text, "{fields}\n```\n");
    }
    text.trim_end().to_owned()
}

/// The length, then the rest in lines.
fn hex_lines(bytes: &[u8]) -> Vec<String> {
    let (length, rest) = bytes.split_at(4);
    let mut lines = vec![hex::encode(length)];
    for chunk in rest.chunks(HEX_LINE) {
        lines.push(hex::encode(chunk));
    }
    lines
}

/// The comment behind a value of an enum in a .proto file.
fn comment(file: &str, value: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "proto", "huizhen", "v1", file]
        .iter()
        .collect();
    let text = std::fs::read_to_string(path).unwrap();
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(&format!("{value} ")))
        .unwrap_or_else(|| panic!("{value} is not in {file}"));
    let (_, comment) = line
        .split_once("// ")
        .unwrap_or_else(|| panic!("{value} has no comment"));
    comment.to_owned()
}
