//! An app that awaits entries, refusals and its end.

use std::net::SocketAddr;

use proto::{
    client::Connection,
    wire::{Bye, Entry, ErrorCode, LoginOk, client_frame::Body as Request, server_frame::Body},
};

use super::app::{App, login};

impl App {
    /// The kernel buffers little of what such an app does not read.
    pub async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        Self::over(Connection::over_tcp(socket.connect(address).await.unwrap()))
    }

    pub async fn log_in(&mut self, user: i64, device: &str, password: &str) -> LoginOk {
        match self.ask(Request::Login(login(user, device, password))).await {
            Body::LoginOk(ok) => ok,
            other => panic!("no LoginOk but {other:?}"),
        }
    }

    /// The code of the error that answers a request.
    pub async fn refused(&mut self, body: Request) -> (ErrorCode, String) {
        match self.ask(body).await {
            Body::Error(error) => (error.code(), error.field),
            other => panic!("not refused but {other:?}"),
        }
    }

    /// The next entry.
    pub async fn entry(&mut self) -> Entry {
        while self.entries.is_empty() {
            if let Some(Body::Entry(entry)) = self.receive().await.expect("the connection is open").body {
                self.entries.push(entry);
            }
        }
        self.entries.remove(0)
    }

    /// The seqs of the next entries.
    pub async fn seqs(&mut self, count: usize) -> Vec<i64> {
        let mut seqs = Vec::new();
        for _ in 0..count {
            seqs.push(self.entry().await.seq);
        }
        seqs
    }

    /// The Bye that ends the connection, and nothing after it.
    pub async fn bye(&mut self) -> Bye {
        loop {
            match self.receive().await.expect("a Bye before the end").body {
                Some(Body::Bye(bye)) => {
                    assert!(self.receive().await.is_none(), "nothing after Bye");
                    return bye;
                }
                _ => continue,
            }
        }
    }

    /// Proves that nothing came: whatever was on its way stands before the answer to a Ping.
    pub async fn nothing_came(&mut self) {
        let pong = self.ask(Request::Ping(proto::wire::Ping {})).await;
        assert!(matches!(pong, Body::Pong(_)));
        assert_eq!(self.entries, [], "nothing was to come");
    }
}
