//! What many sockets cost a running server.
//!
//! `KEY=slh_... socket_bench http://127.0.0.1:3000` opens sockets that follow the live metrics, one of which never reads, and
//! after a while prints how many frames came, how late the latest was, whether any sequence was missed, and what the server's
//! process took (where it is told the process id).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use clap::Parser;
use futures::{SinkExt as _, StreamExt as _};
use http::header;
use serde::Deserialize;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use url::Url;

/// Follows the live metrics over many sockets and says what came.
#[derive(Parser)]
struct Arguments {
    /// Where the server is.
    #[arg(env = "SERVER")]
    server: Url,
    /// An API key with the permission metrics:read.
    #[arg(long, env = "KEY", hide_env_values = true)]
    key: String,
    #[arg(long, default_value_t = 2000)]
    sockets: usize,
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The server's process, to read what it takes.
    #[arg(long)]
    pid: Option<u32>,
}

#[derive(Default)]
struct Seen {
    frames: AtomicU64,
    /// Frames that did not follow the one before.
    gaps: AtomicU64,
    /// Microseconds from when a frame's content was made to its arrival, at most.
    latest: AtomicU64,
}

#[derive(Deserialize)]
struct Frame {
    sequence: u64,
    at: DateTime<Utc>,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are what the program is for")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let before = arguments.pid.map(usage).transpose()?;
    let seen = Arc::new(Seen::default());
    let mut all = JoinSet::new();
    let stalled = connect(&arguments).await?;
    for _ in 1..arguments.sockets {
        let (socket, seen) = (connect(&arguments).await?, Arc::clone(&seen));
        all.spawn(follow(socket, seen));
    }
    println!("{} sockets are open, one of which never reads", arguments.sockets);
    let opened = arguments.pid.map(usage).transpose()?;
    // What comes while they open is not counted.
    seen.frames.store(0, Relaxed);
    seen.latest.store(0, Relaxed);
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let frames = seen.frames.load(Relaxed);
    println!(
        "{frames} frames in {} s: {:.2} a second on each socket; {} gaps; the latest came after {} ms",
        arguments.seconds,
        frames as f64 / arguments.seconds as f64 / (arguments.sockets - 1) as f64,
        seen.gaps.load(Relaxed),
        seen.latest.load(Relaxed) / 1000
    );
    if let (Some(before), Some(opened), Some(pid)) = (before, opened, arguments.pid) {
        let after = usage(pid)?;
        println!(
            "the server: {:.1} KiB for each socket, {:.2} of a core",
            (after.kib.saturating_sub(before.kib)) as f64 / arguments.sockets as f64,
            (after.seconds - opened.seconds) / arguments.seconds as f64
        );
    }
    ensure!(all.try_join_next().is_none(), "a socket ended early");
    drop(stalled);
    Ok(())
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

async fn connect(arguments: &Arguments) -> Result<Socket> {
    let server = &arguments.server;
    let place = format!(
        "{}:{}",
        server.host_str().context("the address has no host")?,
        server.port_or_known_default().context("the address has no port")?
    );
    let mut request = format!("ws://{place}/ws/dashboard?channels=metrics").into_client_request()?;
    request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {}", arguments.key).parse()?);
    let stream = TcpStream::connect(&place).await?;
    let (socket, _) = timeout(Duration::from_secs(20), client_async(request, stream)).await??;
    Ok(socket)
}

async fn follow(mut socket: Socket, seen: Arc<Seen>) -> Result<()> {
    let mut last = None;
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) => {
                let frame: Frame = serde_json::from_str(&text)?;
                let late = (Utc::now() - frame.at).num_microseconds().unwrap_or(0);
                seen.latest.fetch_max(u64::try_from(late).unwrap_or(0), Relaxed);
                seen.frames.fetch_add(1, Relaxed);
                seen.gaps.fetch_add(u64::from(last.is_some_and(|last| last + 1 != frame.sequence)), Relaxed);
                last = Some(frame.sequence);
            }
            Message::Ping(content) => socket.send(Message::Pong(content)).await?,
            _ => {}
        }
    }
    Ok(())
}

/// What a process has taken so far.
struct Usage {
    kib: u64,
    seconds: f64,
}

fn usage(pid: u32) -> Result<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no resident memory")?;
    let kib = resident.trim().trim_end_matches(" kB").parse()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // After the name, which may hold spaces: the 14th and 15th field are ticks of a hundredth of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().context("a name")?.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).context("a field")?.parse::<f64>().context("a number");
    Ok(Usage { kib, seconds: (ticks(11)? + ticks(12)?) / 100.0 })
}
