//! Files: they are uploaded before their message is sent, and media are saved.

use std::{
    future::pending,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use proto::{
    client::{Client, Outgoing},
    rest::{CallError, NewMedia, Rest},
    wire::History,
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, task::JoinHandle};

use super::{
    super::attachments::{self, Problem, ToSave, ToSend},
    Talk,
    conversation::ask,
};

/// Files in progress, at most: each is in memory.
pub(super) const MAX_FILES: usize = 4;
/// The largest file that the service accepts, bytes.
const MAX_BYTES: u64 = 100 * 1024 * 1024;

/// The end of work on files.
pub(super) enum Done {
    Sent {
        message: Outgoing,
        name: String,
        uri: String,
    },
    Saved {
        seq: i64,
        files: Vec<Saved>,
    },
    /// `what` is the file, or the entry whose media were to be saved.
    Failed {
        what: String,
        problem: Problem,
    },
}

/// A file that was written.
pub(super) struct Saved {
    uri: String,
    path: PathBuf,
    mime_type: String,
    bytes: usize,
}

impl Talk {
    pub(super) fn send_file(&mut self, file: ToSend) {
        if self.is_busy() {
            return self.tell(&self.language.too_many_files());
        }
        let rest = self.caller.rest.clone();
        self.tell(&self.language.uploading(&file.path.display().to_string()));
        self.files.push_back(tokio::spawn(async move {
            upload(&rest, &file).await.unwrap_or_else(|problem| Done::Failed {
                what: file.path.display().to_string(),
                problem,
            })
        }));
    }

    pub(super) fn save(&mut self, what: ToSave) {
        if self.is_busy() {
            return self.tell(&self.language.too_many_files());
        }
        let (client, rest) = (self.client.clone(), self.caller.rest.clone());
        self.files.push_back(tokio::spawn(async move {
            match save(client, &rest, &what).await {
                Ok(files) => Done::Saved { seq: what.seq, files },
                Err(problem) => Done::Failed {
                    what: what.seq.to_string(),
                    problem,
                },
            }
        }));
    }

    pub(super) fn is_busy(&self) -> bool {
        self.files.len() >= MAX_FILES
    }

    pub(super) fn filed(&mut self, done: Option<Done>) {
        match done {
            Some(Done::Sent { message, name, uri }) => {
                if self.face.is_json() {
                    let id = &message.client_msg_id;
                    let event = json!({"event": "uploaded", "file": name, "uri": uri, "client_msg_id": id});
                    self.show(&event.to_string());
                }
                self.waiting.push(message);
            }
            Some(Done::Saved { seq, files }) => {
                for saved in files {
                    self.saved(seq, &saved);
                }
            }
            Some(Done::Failed { what, problem }) => {
                self.well = false;
                let cause = self.language.problem(&problem);
                if self.face.is_json() {
                    let event = json!({"event": "file_failed", "file": what, "message": cause});
                    self.show(&event.to_string());
                }
                self.tell(&self.language.file_failed(&what, &cause));
            }
            // Its task panicked, which the log shows.
            None => self.well = false,
        }
    }

    fn saved(&mut self, seq: i64, saved: &Saved) {
        let path = saved.path.display().to_string();
        if self.face.is_json() {
            let event = json!({
                "event": "saved", "seq": seq, "uri": saved.uri, "file": path, "mime_type": saved.mime_type,
                "bytes": saved.bytes,
            });
            self.show(&event.to_string());
        }
        self.tell(&self.language.saved(&saved.uri, &path, saved.bytes as u64));
    }
}

/// The end of the oldest work, so that messages keep the order of their commands; pending without any.
pub(super) async fn filed(files: &mut std::collections::VecDeque<JoinHandle<Done>>) -> Option<Done> {
    let Some(oldest) = files.front_mut() else {
        return pending().await;
    };
    let done = oldest.await.ok();
    files.pop_front();
    done
}

async fn upload(rest: &Rest, file: &ToSend) -> Result<Done, Problem> {
    let found = tokio::fs::metadata(&file.path).await.map_err(of_file)?;
    if !found.is_file() {
        return Err(Problem::NoFile);
    }
    if found.len() > MAX_BYTES {
        return Err(Problem::TooLarge);
    }
    let bytes = tokio::fs::read(&file.path).await.map_err(of_file)?;

    let name = file.path.file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let (mime_type, length) = (attachments::mime_type(&bytes), bytes.len() as u64);
    let new = NewMedia {
        mime_type: mime_type.to_owned(),
        purpose: "message".to_owned(),
        file_name: name.clone(),
        bytes: bytes.into(),
    };
    let uploaded = rest.upload(new).await.map_err(of_call)?;
    let message = Outgoing {
        conversation_id: file.conversation_id,
        client_msg_id: file.client_msg_id.clone(),
        mime_type: mime_type.to_owned(),
        body: attachments::body(mime_type, &uploaded, &name, length),
        mentions: Vec::new(),
        reply_to_seq: 0,
        corrects_seq: 0,
    };
    Ok(Done::Sent {
        message,
        name,
        uri: uploaded.uri,
    })
}

async fn save(client: Client, rest: &Rest, what: &ToSave) -> Result<Vec<Saved>, Problem> {
    let question = History {
        conversation_id: what.conversation_id,
        before_seq: what.seq.saturating_add(1),
        after_seq: 0,
        limit: 1,
    };
    let page = ask(client, question).await.ok_or(Problem::NoAnswer)?;
    let entry = page.entries.iter().find(|entry| entry.seq == what.seq);
    let named = attachments::named(entry.ok_or(Problem::NoEntry)?);
    if named.is_empty() {
        return Err(Problem::NoMedia);
    }

    let mut saved = Vec::new();
    for (number, medium) in named.iter().enumerate() {
        let id = medium.media_id();
        let id = id.ok_or_else(|| Problem::Elsewhere(medium.uri.clone()))?;
        let found = rest.download(id, None).await.map_err(of_call)?;
        let path = match &what.path {
            Some(path) => attachments::numbered(path, number),
            None => medium.own_name(id, &found.mime_type).into(),
        };
        write(&path, &found.bytes)
            .await
            .map_err(|error| Problem::Other(format!("{}: {error}", path.display())))?;
        saved.push(Saved {
            uri: medium.uri.clone(),
            path,
            mime_type: found.mime_type,
            bytes: found.bytes.len(),
        });
    }
    Ok(saved)
}

/// Writes a new file: a present one stays.
async fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = tokio::fs::OpenOptions::new();
    // A photo of a patient is for the user alone.
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .await?;
    file.write_all(bytes).await?;
    file.flush().await
}

fn of_file(error: std::io::Error) -> Problem {
    match error.kind() {
        ErrorKind::NotFound => Problem::NoFile,
        _ => Problem::Other(error.to_string()),
    }
}

/// Of a refusal its sentence, without the call.
fn of_call(error: CallError) -> Problem {
    match error {
        CallError::Refused { message, .. } => Problem::Other(message),
        error => Problem::Other(error.to_string()),
    }
}
