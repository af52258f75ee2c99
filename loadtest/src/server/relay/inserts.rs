//! A program without batches: each message is an INSERT of its own into PostgreSQL, committed before the
//! next one of the same conversation is written. It does less than must be done: no participant is looked up, no resend,
//! and the seqs are counted in memory.

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tokio_postgres::{Client, NoTls};

use super::store::Job;

/// How many messages may wait on one connection; what comes beyond is refused.
const MAX_WAITING: usize = 65_536;
const TABLE: &str = "CREATE TABLE entry (
    conversation_id BIGINT NOT NULL, seq BIGINT NOT NULL, sender_id BIGINT NOT NULL, body BYTEA NOT NULL,
    PRIMARY KEY (conversation_id, seq))";
const INSERT: &str = "INSERT INTO entry (conversation_id, seq, sender_id, body) VALUES ($1, $2, $3, $4)";

/// Connections that write; a conversation always uses the same one.
#[derive(Debug)]
pub(super) struct SingleInserts {
    writers: Vec<mpsc::Sender<Job>>,
}

impl SingleInserts {
    /// Connects and makes the table.
    pub(super) async fn open(url: &str, connections: u32, conversations: usize) -> Result<Self> {
        connect(url).await?.batch_execute(TABLE).await?;
        let mut writers = Vec::new();
        for _ in 0..connections.max(1) {
            let client = connect(url).await?;
            let (jobs, waiting) = mpsc::channel(MAX_WAITING);
            tokio::spawn(async move {
                if let Err(error) = write(&client, waiting, vec![0; conversations]).await {
                    // Without its server the relay shows nothing; the senders see their answers missing.
                    eprintln!("cannot insert: {error:#}");
                }
            });
            writers.push(jobs);
        }
        Ok(Self { writers })
    }

    /// Hands a message over; false when too many wait.
    pub(super) fn append(&self, job: Job) -> bool {
        self.writers[job.conversation % self.writers.len()]
            .try_send(job)
            .is_ok()
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("cannot connect to PostgreSQL")?;
    tokio::spawn(async move {
        // Its end shows at the next statement.
        let _ = connection.await;
    });
    Ok(client)
}

async fn write(client: &Client, mut waiting: mpsc::Receiver<Job>, mut last_seqs: Vec<i64>) -> Result<()> {
    let insert = client.prepare(INSERT).await?;
    let mut touched = Vec::new();
    while let Some(job) = waiting.recv().await {
        let last = &mut last_seqs[job.conversation];
        *last += 1;
        let (id, seq) = (job.conversation as i64 + 1, *last);
        let body: &[u8] = job.arrival.send.body.as_ref();
        client
            .execute(&insert, &[&id, &seq, &job.arrival.sender_id, &body])
            .await?;
        job.hub.publish(&job.arrival, Some(seq), &mut touched);
        for outlet in touched.drain(..) {
            outlet.flush();
        }
    }
    Ok(())
}
