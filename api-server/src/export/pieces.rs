//! JSON that is written in pieces. The next piece is made when the caller has taken the one before.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc::Sender;

use crate::http::error::Error;

/// Bytes that are gathered before they are sent.
const PIECE_BYTES: usize = 64 * 1024;
/// How long a piece waits for its reader, who holds a connection.
const READER_LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Pieces {
    sender: Sender<Bytes>,
    text: Vec<u8>,
    /// A value stands before the next one.
    follows: bool,
}

impl Pieces {
    pub(super) fn new(sender: Sender<Bytes>) -> Self {
        Self {
            sender,
            text: Vec::new(),
            follows: false,
        }
    }

    /// Begins an object or a list.
    pub(super) fn open(&mut self, bracket: char) {
        self.separate();
        self.push(bracket);
        self.follows = false;
    }

    /// Ends an object or a list.
    pub(super) fn close(&mut self, bracket: char) {
        self.push(bracket);
        self.follows = true;
    }

    /// The name of an object's next value. It needs no escaping.
    pub(super) fn name(&mut self, name: &str) {
        self.separate();
        self.text.extend_from_slice(format!("\n\"{name}\":").as_bytes());
        self.follows = false;
    }

    pub(super) fn value(&mut self, value: &impl Serialize) -> Result<(), Error> {
        self.separate();
        serde_json::to_writer(&mut self.text, value).map_err(Error::internal)?;
        self.follows = true;
        Ok(())
    }

    fn separate(&mut self) {
        if self.follows {
            self.push(',');
        }
    }

    fn push(&mut self, character: char) {
        self.text.push(u8::try_from(character).unwrap_or(b' '));
    }

    /// Sends what was gathered, if it is much. Waits for the caller.
    pub(super) async fn pass_on(&mut self) -> Result<(), Error> {
        match self.text.len() < PIECE_BYTES {
            true => Ok(()),
            false => self.send().await,
        }
    }

    /// Sends the rest.
    pub(super) async fn end(mut self) -> Result<(), Error> {
        self.send().await
    }

    async fn send(&mut self) -> Result<(), Error> {
        let piece = std::mem::take(&mut self.text);
        match tokio::time::timeout(READER_LIMIT, self.sender.send(piece.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::internal("the reader of an export is gone")),
            Err(_) => Err(Error::internal("the reader of an export has stopped reading")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn pieces_are_one_value_and_none_is_large() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut pieces = Pieces::new(sender);
        let written = tokio::spawn(async move {
            pieces.open('{');
            pieces.name("a");
            pieces.value(&json!({"b": "字"}))?;
            pieces.name("list");
            pieces.open('[');
            for at in 0..1000 {
                pieces.value(&"x".repeat(at))?;
                pieces.pass_on().await?;
            }
            pieces.open('[');
            pieces.close(']');
            pieces.close(']');
            pieces.close('}');
            pieces.end().await
        });
        let mut text = Vec::new();
        while let Some(piece) = receiver.recv().await {
            assert!(piece.len() <= PIECE_BYTES + 1100, "{}", piece.len());
            text.extend_from_slice(&piece);
        }
        written.await.unwrap().unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["a"], json!({"b": "字"}));
        let list = value["list"].as_array().unwrap();
        assert_eq!(
            (list.len(), &list[3], &list[1000]),
            (1001, &json!("xxx"), &json!([]))
        );
    }
}
