//! A worker process that is made to fail, and started again as somebody who runs it would.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
};

/// A worker that is told to stop has so long; what it does then is bounded by twenty seconds.
const STOPS_WITHIN: Duration = Duration::from_secs(45);
const RESTART_PAUSE: Duration = Duration::from_millis(200);

#[derive(Clone, Debug)]
pub(crate) enum Order {
    Kill,
    Restart,
    Sleep(Duration),
    End { in_order: bool },
}

/// How often it was started, for the report.
pub(crate) type Lives = usize;

pub(crate) struct Worker {
    orders: mpsc::UnboundedSender<Order>,
    keeper: JoinHandle<Result<Lives>>,
}

pub(crate) struct Start {
    pub(crate) joins: Duration,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) lives: Vec<String>,
    pub(crate) log: PathBuf,
}

impl Worker {
    pub(crate) fn start(start: Start) -> Worker {
        let (orders, receiver) = mpsc::unbounded_channel();
        Worker { orders, keeper: tokio::spawn(keep(start, receiver)) }
    }

    /// One that is gone already takes no orders.
    pub(crate) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    pub(crate) async fn end(self, in_order: bool) -> Result<Lives> {
        self.order(Order::End { in_order });
        self.keeper.await?
    }
}

async fn keep(start: Start, mut orders: mpsc::UnboundedReceiver<Order>) -> Result<Lives> {
    tokio::time::sleep(start.joins).await;
    let mut lives = 0;
    loop {
        let mut child = spawn(&start, start.lives.get(lives).map_or("", String::as_str))?;
        lives += 1;
        loop {
            let order = tokio::select! {
                _ = child.wait() => break,
                order = orders.recv() => order.unwrap_or(Order::End { in_order: false }),
            };
            match order {
                Order::Kill => {
                    child.kill().await?;
                    break;
                }
                Order::Restart => {
                    stop(&mut child).await?;
                    break;
                }
                Order::Sleep(duration) => {
                    signal(&child, Signal::SIGSTOP);
                    tokio::time::sleep(duration).await;
                    signal(&child, Signal::SIGCONT);
                }
                Order::End { in_order: true } => {
                    stop(&mut child).await?;
                    return Ok(lives);
                }
                Order::End { in_order: false } => {
                    child.kill().await?;
                    return Ok(lives);
                }
            }
        }
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

fn spawn(start: &Start, failpoints: &str) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(&start.log)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamlinehub-worker"));
    command.arg("run").envs(start.environment.iter().map(|(name, value)| (name, value)));
    if !failpoints.is_empty() {
        command.env("FAILPOINTS", failpoints);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn().context("the worker")
}

fn signal(child: &Child, signal: Signal) {
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(id), signal);
    }
}

async fn stop(child: &mut Child) -> Result<()> {
    signal(child, Signal::SIGTERM);
    if tokio::time::timeout(STOPS_WITHIN, child.wait()).await.is_err() {
        child.kill().await?;
        bail!("a worker that was told to stop did not within {} s", STOPS_WITHIN.as_secs());
    }
    Ok(())
}
