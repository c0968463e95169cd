//! `streamlinehub`: the dashboard, its API and the pipeline in one process.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use etl::settings::{Log, Settings};
use server::{access::command, lake::sql::worker, startup::Application};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Event streams from Kafka, kept in an open lakehouse, shown live and over time.
///
/// Settings are read from config/default.toml, the file that STREAMLINEHUB_CONFIG names, and the environment.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder with the browser's half of the program, as the build leaves it.
    #[arg(long, env = "LEPTOS_SITE_ROOT", default_value = "target/site")]
    site: PathBuf,
    /// Without a command the server runs.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Access(command::Command),
    /// Answers SQL over standard input and output; the server starts it.
    #[command(name = worker::COMMAND, hide = true)]
    SqlWorker(worker::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Not through the log, which may be the very thing that could not be set up.
#[expect(clippy::print_stderr, reason = "the last words of a command belong on the terminal")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

fn start(arguments: Arguments) -> Result<()> {
    if let Some(Command::SqlWorker(arguments)) = arguments.command {
        return worker::serve(&arguments);
    }
    let settings = Settings::load()?;
    log_to_stderr(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(Command::Access(command)) = arguments.command {
        print(&runtime.block_on(command::run(command, &settings))?);
        return Ok(());
    }
    runtime.block_on(serve(settings, arguments.site))
}

/// This very program, even where a newer one has taken its place on disk.
fn this_program() -> Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { Ok(std::env::current_exe()?) }
}

#[expect(clippy::print_stdout, reason = "the answer of a command belongs on the terminal")]
fn print(answer: &str) {
    println!("{answer}");
}

async fn serve(settings: Settings, site: PathBuf) -> Result<()> {
    let mut signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let application = Application::build(settings, site, this_program()?).await?;
    tracing::info!("open {} in a browser", application.url());
    application
        .run_until(async move {
            next(&mut signals).await;
            tracing::info!("stopping; a second signal ends at once");
            tokio::spawn(async move {
                next(&mut signals).await;
                std::process::exit(130);
            });
        })
        .await?;
    tracing::info!("stopped");
    Ok(())
}

async fn next((interrupt, terminate): &mut (Signal, Signal)) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn log_to_stderr(settings: &Log) -> Result<()> {
    let filter = EnvFilter::try_new(&settings.level)
        .context("log.level is not a filter such as `info` or `info,server=debug`")?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    if settings.json {
        subscriber.json().init();
    } else {
        subscriber.with_target(false).init();
    }
    Ok(())
}
