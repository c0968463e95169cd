//! `streamlinehub-worker`: the pipeline as a process of its own, and the producers of demo and test events.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand};
use etl::{
    embedded::Services,
    kafka::Cluster,
    pipeline::Pipeline,
    produce::{self, generate::Load, journey::Journey},
    settings::Settings,
};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Brings events from Kafka into the lake, and sends demo events.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the pipeline until it is told to stop. Services that are not named by settings are started.
    Run,
    /// Send events to Kafka.
    #[command(subcommand)]
    Produce(Produce),
}

#[derive(Subcommand)]
enum Produce {
    /// The Complete Journey data set, shifted in time so that the year ends now.
    Replay {
        /// Folder with the Parquet files.
        #[arg(long, env = "REPLAY_PATH")]
        data: PathBuf,
        /// The moment at which the year ends, instead of now; the same moment makes the same events.
        #[arg(long)]
        ends_at: Option<DateTime<Utc>>,
    },
    /// Baskets of the data set, paid now.
    Live {
        #[arg(long, env = "REPLAY_PATH")]
        data: PathBuf,
        /// Baskets per second.
        #[arg(long, default_value_t = 5.0)]
        rate: f64,
        /// Stop after so many.
        #[arg(long)]
        count: Option<u64>,
    },
    /// Synthetic events of the same shapes, without the data set.
    Generate {
        /// Events per second; 0 for as many as Kafka takes.
        #[arg(long, default_value_t = 0.0)]
        rate: f64,
        #[arg(long)]
        count: u64,
        /// The same seed makes the same events.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Send page views of exactly so many bytes, instead of a mixture.
        #[arg(long)]
        bytes: Option<usize>,
    },
}

fn main() -> ExitCode {
    etl::chaos::arm();
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is the command line")]
fn report(text: &str) {
    eprintln!("{text}");
}

fn run(command: Command) -> Result<()> {
    let settings = Settings::load()?;
    let filter = EnvFilter::try_new(&settings.log.level).context("log.level")?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    if settings.log.json {
        log.json().init();
    } else {
        log.init();
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot be started")?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signal(stop.clone())?;
        match command {
            Command::Run => work(settings, stop).await,
            Command::Produce(produce) => {
                let cluster = match settings.kafka.bootstrap_servers.as_str() {
                    "" => Cluster::local(&format!("127.0.0.1:{}", settings.kafka.embedded_port)),
                    _ => Cluster::named(&settings.kafka)?,
                };
                // Nobody may have made them yet.
                cluster.create_topics(settings.kafka.partitions).await?;
                tokio::task::spawn_blocking(move || send(&cluster, produce, &stop)).await.context("producing")?
            }
        }
    })
}

/// The first signal stops in good order, the second at once.
fn stop_on_signal(stop: CancellationToken) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(130);
            }
            stop.cancel();
        }
    });
    Ok(())
}

async fn work(settings: Settings, stop: CancellationToken) -> Result<()> {
    let services = Services::start(&settings).await?;
    let started = Pipeline::start(Arc::new(settings), &services.kafka, &services.redis_url).await;
    let result = match started {
        Ok(pipeline) => {
            stop.cancelled().await;
            pipeline.stop().await;
            Ok(())
        }
        Err(error) => Err(error),
    };
    services.stop().await;
    result
}

fn send(cluster: &Cluster, produce: Produce, stop: &CancellationToken) -> Result<()> {
    let began = Instant::now();
    let sent = match produce {
        Produce::Replay { data, ends_at } => {
            let journey = Journey::open(&data)?;
            let bar = progress_bar(journey.count()?);
            let sent = produce::replay::run(&journey, cluster, ends_at.unwrap_or_else(Utc::now), 0, stop, |sent| {
                bar.set_position(sent);
                Ok(())
            });
            bar.finish();
            sent?
        }
        Produce::Live { data, rate, count } => produce::live::run(&Journey::open(&data)?, cluster, rate, count, stop)?,
        Produce::Generate { rate, count, seed, bytes } => {
            produce::generate::run(cluster, Load { rate, count, seed, bytes }, stop)?
        }
    };
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    let rate = sent as f64 / seconds;
    report(&format!("{sent} events acknowledged in {seconds:.1} s, {rate:.0} per second"));
    Ok(())
}

fn progress_bar(events: u64) -> ProgressBar {
    let bar = ProgressBar::new(events);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} events, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
