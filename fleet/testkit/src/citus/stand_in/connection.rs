//! A connection: statements are read on the way to the server, and errors on the way back. A refused statement goes on as one
//! that PostgreSQL refuses itself, so that transactions and pipelines break as they would.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
};

use super::{
    Seen, locked,
    message::{Fields, Message, joined, read_body, split_text, with_length},
};

/// The first words of a connection that are no start of a session.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];
const CANCEL: u32 = 80_877_102;

/// The settings that `huizhen migrate --distributed citus` gives the role on each machine.
const OF_ROLE: &str = "-c lock_timeout=4s";

/// A name of three parts, which PostgreSQL refuses with 0A000 when it parses; the last one is the refusal's number.
const REFUSED: &str = "stand_in.refused.number_";

/// A message that the server has yet to answer.
enum Step {
    /// One execution, and whether its rows go by COPY.
    Execution { copies: bool },
    /// The end of a pipeline, or a simple query.
    End { copies: bool },
}

#[derive(Default)]
struct Pending {
    steps: VecDeque<Step>,
    /// Prepared statements and portals by name: whether rows go by COPY.
    statements: HashMap<Vec<u8>, bool>,
    portals: HashMap<Vec<u8>, bool>,
}

pub(super) async fn accept(listener: TcpListener, server: SocketAddr, seen: Arc<Seen>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        if let Ok((client, _)) = listener.accept().await {
            // The end of a connection is its client's and the server's matter.
            tokio::spawn(carry(client, server, seen.clone()));
        }
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, seen: Arc<Seen>) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    if !start(&mut client, &mut server).await? {
        return Ok(());
    }
    let pending = Mutex::new(Pending::default());
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = server.split();
    let there = to_server(client_read, server_write, &seen, &pending);
    let back = to_client(server_read, client_write, &seen, &pending);
    tokio::pin!(there, back);
    tokio::select! {
        outcome = &mut back => outcome,
        outcome = &mut there => {
            // A client that was killed leaves a transaction, which ends with the server's side.
            outcome?;
            back.await
        }
    }
}

/// Carries the first messages. Returns whether a session begins.
async fn start(client: &mut TcpStream, server: &mut TcpStream) -> io::Result<bool> {
    loop {
        let body = read_body(client).await?;
        let (version, parameters) = body.split_at(4.min(body.len()));
        let version = version.try_into().map(u32::from_be_bytes).unwrap_or_default();
        if ENCRYPTION.contains(&version) {
            server.write_all(&with_length(&body)).await?;
            let answer = server.read_u8().await?;
            client.write_u8(answer).await?;
            if answer != b'N' {
                return Err(io::Error::other("a server with TLS"));
            }
            continue;
        }
        if version == CANCEL {
            server.write_all(&with_length(&body)).await?;
            return Ok(false);
        }
        let body = [&version.to_be_bytes()[..], &with_settings(parameters)].concat();
        server.write_all(&with_length(&body)).await?;
        return Ok(true);
    }
}

/// Parameters of a start, with the role's settings behind those of the session.
fn with_settings(mut parameters: &[u8]) -> Vec<u8> {
    let mut texts = Vec::new();
    let mut options = Vec::new();
    while let (name @ [_, ..], rest) = split_text(parameters) {
        let (value, rest) = split_text(rest);
        match name {
            b"options" => options = [value, b" "].concat(),
            _ => texts.extend([name, value]),
        }
        parameters = rest;
    }
    options.extend_from_slice(OF_ROLE.as_bytes());
    texts.extend([&b"options"[..], &options]);
    [joined(&texts), vec![0]].concat()
}

async fn to_server(
    mut client: ReadHalf<'_>,
    mut server: WriteHalf<'_>,
    seen: &Seen,
    pending: &Mutex<Pending>,
) -> io::Result<()> {
    while let Some(message) = Message::read(&mut client).await? {
        let sent = match message.tag {
            b'P' => parse(message, seen, pending),
            b'Q' => query(message, seen, pending),
            _ => {
                note(&message, pending);
                message
            }
        };
        server.write_all(&sent.bytes()).await?;
    }
    server.shutdown().await
}

fn parse(message: Message, seen: &Seen, pending: &Mutex<Pending>) -> Message {
    let (name, rest) = split_text(&message.body);
    let (sql, types) = split_text(rest);
    let (sql, copies) = passed(sql, seen);
    locked(pending).statements.insert(name.to_vec(), copies);
    Message {
        tag: message.tag,
        body: [&joined(&[name, sql.as_bytes()]), types].concat(),
    }
}

fn query(message: Message, seen: &Seen, pending: &Mutex<Pending>) -> Message {
    let (sql, copies) = passed(split_text(&message.body).0, seen);
    locked(pending).steps.push_back(Step::End { copies });
    Message {
        tag: message.tag,
        body: joined(&[sql.as_bytes()]),
    }
}

/// The text that the server gets, and whether its rows go by COPY.
fn passed(sql: &[u8], seen: &Seen) -> (String, bool) {
    let sql = String::from_utf8_lossy(sql).into_owned();
    let verdict = seen.verdict(&sql);
    if let Some(refusal) = &verdict.refusal {
        let number = seen.refuse(&sql, refusal);
        return (format!("SELECT 1 FROM {REFUSED}{number}"), false);
    }
    (verdict.left.unwrap_or(sql), verdict.copies)
}

/// Notes which statement each answer will belong to.
fn note(message: &Message, pending: &Mutex<Pending>) {
    let mut pending = locked(pending);
    let (first, rest) = split_text(&message.body);
    match message.tag {
        b'B' => {
            let copies = pending.statements.get(split_text(rest).0).copied();
            pending.portals.insert(first.to_vec(), copies.unwrap_or_default());
        }
        b'E' => {
            let copies = pending.portals.get(first).copied().unwrap_or_default();
            pending.steps.push_back(Step::Execution { copies });
        }
        b'S' | b'F' => pending.steps.push_back(Step::End { copies: false }),
        _ => {}
    }
}

async fn to_client(
    mut server: ReadHalf<'_>,
    mut client: impl AsyncWrite + Unpin,
    seen: &Seen,
    pending: &Mutex<Pending>,
) -> io::Result<()> {
    while let Some(mut message) = Message::read(&mut server).await? {
        match message.tag {
            b'E' => message.body = error(&message.body, seen, pending),
            b'C' | b'I' | b's' => {
                let mut pending = locked(pending);
                if matches!(pending.steps.front(), Some(Step::Execution { .. })) {
                    pending.steps.pop_front();
                }
            }
            b'Z' => {
                let mut pending = locked(pending);
                while let Some(Step::Execution { .. }) = pending.steps.pop_front() {}
            }
            _ => {}
        }
        client.write_all(&message.bytes()).await?;
    }
    client.shutdown().await
}

/// An error as Citus words it.
fn error(body: &[u8], seen: &Seen, pending: &Mutex<Pending>) -> Vec<u8> {
    let mut fields = Fields::parse(body);
    let text = fields.get(b'M');
    let number = text
        .split_once(REFUSED)
        .map(|(_, number)| number.trim_end_matches('"'));
    if let Some(reason) = number.and_then(|number| seen.reason(number.parse().ok()?)) {
        fields.set(b'M', &reason);
        fields.keep(b"SVCM");
    }
    let copies = match locked(pending).steps.front() {
        Some(Step::Execution { copies } | Step::End { copies }) => *copies,
        None => false,
    };
    if copies && fields.get(b'C') == "23505" {
        fields.set(b'C', "XX000");
        fields.keep(b"SVCMD");
    }
    fields.body()
}
