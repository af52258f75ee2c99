//! Messages of PostgreSQL's protocol, version 3.0: <https://www.postgresql.org/docs/15/protocol-message-formats.html>.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message that is carried, bytes: a batch of the largest messages, many times over.
const LONGEST_BYTES: usize = 1 << 28;

/// A message without its length.
pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// The next message; `None` at the end.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let tag = match from.read_u8().await {
            Ok(tag) => tag,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        let body = read_body(from).await?;
        Ok(Some(Self { tag, body }))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.tag];
        bytes.extend(with_length(&self.body));
        bytes
    }
}

/// The bytes behind a length, which counts itself.
pub(super) async fn read_body(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await? as usize;
    let is_sane = (4..LONGEST_BYTES).contains(&length);
    let body = length.checked_sub(4).filter(|_| is_sane);
    let mut body = vec![0; body.ok_or_else(|| io::Error::other("a message of a wrong length"))?];
    from.read_exact(&mut body).await?;
    Ok(body)
}

pub(super) fn with_length(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body].concat()
}

/// The text before the next zero, and what follows that.
pub(super) fn split_text(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// Texts, each with its zero.
pub(super) fn joined(texts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(text);
        bytes.push(0);
    }
    bytes
}

/// An error's fields: a letter and a text each.
pub(super) struct Fields(Vec<(u8, Vec<u8>)>);

impl Fields {
    pub(super) fn parse(mut body: &[u8]) -> Self {
        let mut fields = Vec::new();
        while let [letter, rest @ ..] = body
            && *letter != 0
        {
            let (text, after) = split_text(rest);
            fields.push((*letter, text.to_vec()));
            body = after;
        }
        Self(fields)
    }

    pub(super) fn get(&self, letter: u8) -> String {
        let field = self.0.iter().find(|(found, _)| *found == letter);
        let text = field.map(|(_, text)| text.as_slice()).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    pub(super) fn set(&mut self, letter: u8, text: &str) {
        for (found, value) in &mut self.0 {
            if *found == letter {
                *value = text.as_bytes().to_vec();
            }
        }
    }

    pub(super) fn keep(&mut self, letters: &[u8]) {
        self.0.retain(|(letter, _)| letters.contains(letter));
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (letter, text) in &self.0 {
            body.push(*letter);
            body.extend(joined(&[text]));
        }
        body.push(0);
        body
    }
}
