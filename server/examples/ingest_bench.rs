//! How many events a running server takes over HTTP.
//!
//! `KEY=slh_... ingest_bench http://127.0.0.1:3000` sends batches from several connections at once, each with the next batch as
//! soon as the one before is answered, and prints events a second and how long a batch took. The batches are made before the
//! clock starts.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use chrono::Utc;
use clap::Parser;
use etl::produce::generate::Generator;
use model::topic::Topic;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream},
    net::TcpStream,
    task::JoinSet,
};
use url::Url;

/// Sends events to a running server and says how fast it took them.
#[derive(Parser)]
struct Arguments {
    /// Where the server is.
    #[arg(env = "SERVER")]
    server: Url,
    /// An API key with the permission events:write.
    #[arg(long, env = "KEY", hide_env_values = true)]
    key: String,
    #[arg(long, default_value = "transaction-events")]
    topic: String,
    /// Events of a batch.
    #[arg(long, default_value_t = 1000)]
    events: usize,
    #[arg(long, default_value_t = 300)]
    batches: usize,
    /// Batches that are under way at once.
    #[arg(long, default_value_t = 4)]
    connections: usize,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are what the program is for")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let topic = Topic::from_name(&arguments.topic).context("there is no such topic")?;
    let batches = Arc::new(requests(&arguments, topic)?);
    let bytes: usize = batches.iter().map(Vec::len).sum();
    println!("{} batches of {} events, {} MB", batches.len(), arguments.events, bytes / 1_000_000);

    let (next, times) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let address = format!(
        "{}:{}",
        arguments.server.host_str().context("the address has no host")?,
        arguments.server.port_or_known_default().context("the address has no port")?
    );
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..arguments.connections {
        let (address, batches) = (address.clone(), Arc::clone(&batches));
        let (next, times) = (Arc::clone(&next), Arc::clone(&times));
        senders.spawn(async move {
            let connection = TcpStream::connect(&address).await.context(address)?;
            connection.set_nodelay(true)?;
            let mut connection = BufStream::new(connection);
            while let Some(request) = batches.get(next.fetch_add(1, Relaxed)) {
                let begun = Instant::now();
                send(&mut connection, request).await?;
                times.lock().unwrap_or_else(PoisonError::into_inner).push(begun.elapsed());
            }
            anyhow::Ok(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    times.sort_unstable();
    ensure!(!times.is_empty(), "no batch was sent");
    let at = |hundredths: usize| milliseconds(times[(times.len() * hundredths / 100).min(times.len() - 1)]);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    let rate = |count: usize| count as f64 / seconds;
    println!(
        "{:.0} events/s, {:.1} MB/s; a batch took {:.1} ms at p50, {:.1} ms at p99, {:.1} ms at most",
        rate(times.len() * arguments.events),
        rate(bytes) / 1e6,
        at(50),
        at(99),
        at(100)
    );
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Every request, as it goes over the wire.
fn requests(arguments: &Arguments, topic: Topic) -> Result<Vec<Vec<u8>>> {
    // Other events each time.
    let seed = Utc::now().timestamp_micros().unsigned_abs();
    let mut generator = Generator::new(seed);
    let mut request = || {
        let mut body = Vec::new();
        let mut events = 0;
        while events < arguments.events {
            let message = generator.next(Utc::now())?;
            if message.topic == topic {
                body.extend_from_slice(&message.payload);
                body.push(b'\n');
                events += 1;
            }
        }
        let head = format!(
            "POST /api/v1/events/{}?results=rejected HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
            topic.name(),
            arguments.server.authority(),
            arguments.key,
            body.len()
        );
        let mut request = head.into_bytes();
        request.append(&mut body);
        Ok(request)
    };
    (0..arguments.batches).map(|_| request()).collect()
}

/// Sends a batch and waits until it is accepted.
async fn send(connection: &mut BufStream<TcpStream>, request: &[u8]) -> Result<()> {
    connection.write_all(request).await?;
    connection.flush().await?;
    let (mut status, mut length) = (String::new(), 0);
    connection.read_line(&mut status).await?;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    if status.split(' ').nth(1) != Some("200") {
        bail!("{}{}", status, String::from_utf8_lossy(&body));
    }
    Ok(())
}
