//! The Redis buffer: one list of chunks for each assigned topic-partition.
//!
//! Redis is a buffer and not the truth. What it should hold is known to the worker that filled it; where it holds anything
//! else, the partition is read again from Kafka, from the first offset that Bronze does not have.

use std::time::Duration;

use crate::chaos;
use anyhow::{Context, Result};
use redis::{AsyncCommands, aio::ConnectionManager, aio::ConnectionManagerConfig};

/// Lists that nobody touches for this long belong to a worker that is gone.
const EXPIRY_SECONDS: i64 = 3600;
/// Chunks of one answer, which is in memory twice while it is read.
const ASKED_AT_ONCE: usize = 8;

/// Opens a connection that comes back by itself.
///
/// # Errors
/// When the URL is wrong or nobody answers there.
pub async fn connect(url: &str) -> Result<ConnectionManager> {
    let client = redis::Client::open(url).context("redis.url is not a Redis URL such as redis://host:6379")?;
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(5)))
        .set_response_timeout(Some(Duration::from_secs(20)))
        .set_number_of_retries(2)
        .set_max_delay(Duration::from_millis(500));
    ConnectionManager::new_with_config(client, config)
        .await
        .context("Redis does not answer; is it running, and is redis.url right?")
}

#[derive(Clone)]
pub(super) struct Buffer {
    connection: ConnectionManager,
    prefix: String,
}

impl Buffer {
    /// A buffer of its own: `worker` is unique, so that nobody else writes to its lists, not even a former owner of a
    /// partition that has not noticed yet.
    pub(super) fn new(connection: ConnectionManager, worker: &str, topic: &str) -> Buffer {
        Buffer { connection, prefix: format!("streamlinehub:buffer:{worker}:{topic}") }
    }

    fn key(&self, partition: i32) -> String {
        format!("{}:{partition}", self.prefix)
    }

    /// Adds a chunk at the end; returns how many chunks the list has then.
    pub(super) async fn push(&mut self, partition: i32, chunk: &[u8]) -> Result<usize> {
        chaos::point(format_args!("buffer.push.before"))?;
        let key = self.key(partition);
        let (length,): (usize,) = redis::pipe()
            .rpush(&key, chunk)
            .expire(&key, EXPIRY_SECONDS)
            .ignore()
            .query_async(&mut self.connection)
            .await
            .context("Redis did not take a chunk")?;
        chaos::point(format_args!("buffer.push.after"))?;
        Ok(length)
    }

    /// The first chunks of the list, which stay in it; fewer where there are fewer.
    pub(super) async fn peek(&mut self, partition: i32, chunks: usize) -> Result<Vec<Vec<u8>>> {
        chaos::point(format_args!("buffer.peek"))?;
        let key = self.key(partition);
        let mut found: Vec<Vec<u8>> = Vec::with_capacity(chunks);
        while found.len() < chunks {
            let (first, end) = (found.len(), chunks.min(found.len() + ASKED_AT_ONCE));
            let index = |number: usize| isize::try_from(number).context("too many chunks");
            let asked = self.connection.lrange(&key, index(first)?, index(end)? - 1);
            let some: Vec<Vec<u8>> = asked.await.context("Redis did not hand out chunks")?;
            let all = some.len() == end - first;
            found.extend(some);
            if !all {
                break;
            }
        }
        Ok(found)
    }

    /// Drops the first chunks of the list.
    pub(super) async fn trim(&mut self, partition: i32, chunks: usize) -> Result<()> {
        let first = isize::try_from(chunks).context("too many chunks")?;
        chaos::point(format_args!("buffer.trim.before"))?;
        let () = self.connection.ltrim(self.key(partition), first, -1).await.context("Redis did not drop chunks")?;
        chaos::point(format_args!("buffer.trim.after"))
    }

    pub(super) async fn clear(&mut self, partition: i32) -> Result<()> {
        self.connection.del(self.key(partition)).await.context("Redis did not drop a list")
    }
}
