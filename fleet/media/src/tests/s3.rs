//! A server of S3 in a folder, which falls ill and recovers. api-server's tests have this file, too.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

pub(crate) const BUCKET: &str = "clinic-media";
pub(crate) const PREFIX: &str = "fleet/one";

/// A running server of S3. It ends with the value.
pub(crate) struct S3Server {
    folder: TempDir,
    address: SocketAddr,
    illness: watch::Sender<Option<Illness>>,
    serving: JoinHandle<()>,
}

/// How a server is ill.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Illness {
    /// It answers nothing.
    Silent,
    /// It answers with this status and text.
    Answers(u16, &'static str),
    /// It begins an answer of 100,000 bytes, and stops.
    Stops,
    /// It closes each connection.
    Closes,
}

impl S3Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("AKID", "secret"));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (illness, mut now) = watch::channel(None);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let ill = *now.borrow_and_update();
                let (mut changed, service) = (now.clone(), service.clone());
                // Ends with its connection, which a change cuts.
                tokio::spawn(async move {
                    let served = async move {
                        match ill {
                            Some(illness) => Box::pin(be_ill(socket, illness)).await,
                            None => {
                                let served = http1::Builder::new()
                                    .serve_connection(TokioIo::new(socket), service)
                                    .await;
                                drop(served);
                            }
                        }
                    };
                    tokio::select! {
                        () = served => {}
                        _ = changed.changed() => {}
                    }
                });
            }
        });
        Self {
            folder,
            address,
            illness,
            serving,
        }
    }

    /// From now on it is ill; open connections are cut.
    pub(crate) fn fall_ill(&self, illness: Illness) {
        self.illness.send_replace(Some(illness));
    }

    /// From now on it serves; open connections are cut.
    pub(crate) fn recover(&self) {
        self.illness.send_replace(None);
    }

    /// The file of settings that lead to it.
    pub(crate) fn settings(&self, secret: &str) -> String {
        settings(self.address, secret)
    }

    /// The names of all its objects.
    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join(BUCKET))
    }
}

pub(crate) fn settings(address: SocketAddr, secret: &str) -> String {
    format!(
        "endpoint = \"http://{address}\"\nregion = \"us-east-1\"\naccess_key_id = \"AKID\"\n\
         secret_access_key = \"{secret}\"\ntimeout_s = 1\n"
    )
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The files below a folder, hidden ones apart: they are the server's own.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !name.starts_with('.') {
            found.push(path);
        }
    }
    found.sort();
    found
}

async fn be_ill(mut socket: TcpStream, illness: Illness) {
    let mut request = [0; 16 * 1024];
    while let Ok(read) = socket.read(&mut request).await {
        if read == 0 {
            return;
        }
        let answer = match illness {
            Illness::Silent => continue,
            Illness::Closes => return,
            Illness::Answers(status, text) => {
                format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                )
            }
            Illness::Stops => "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nETag: \"x\"\r\n\
                               Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\nbegun"
                .to_owned(),
        };
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
