//! The chaos suite: rounds in which workers, broker, Redis and disk fail in ways that a seed decides, and after which every
//! message has to be in the lake, once, and everything has to add up. See `docs/chaos.md`.
//!
//! ROUNDS, SEED and JOBS (rounds at once) come from the environment; `make chaos` sets them.

mod check;
mod events;
mod plan;
mod worker;
mod world;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use check::Truth;
use events::{Made, Maker};
use futures::StreamExt;
use plan::{Fault, Plan};
use tokio::time::Instant;
use worker::{Order, Start, Worker};
use world::{Place, World, is_named};

/// Of the short form, which is a part of `cargo test`.
const ROUNDS: u64 = 6;
const SEED: u64 = 1;
/// Rounds that found something once, and are run again without a seed: a chunk that Redis kept was taken for the next one; chunks went
/// in without the one before them, which was given up at a stop; Gold ended for good when it failed while it looked at what had failed.
const FOUND: [u64; 3] = [40_034, 50_054, 110_293];
const JOBS: usize = 3;

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[expect(clippy::print_stderr, reason = "what a person who runs it wants to see")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_fails_everything_arrives_once() -> Result<()> {
    let seed: Option<u64> = variable("SEED");
    let rounds = variable("ROUNDS").unwrap_or(if seed.is_some() { 1 } else { ROUNDS });
    let first = seed.unwrap_or(SEED);
    let mut seeds: Vec<u64> = (first..first + rounds).collect();
    if seed.is_none() {
        seeds.extend(FOUND);
    }
    let rounds = seeds.len();
    let jobs = if is_named() { 1 } else { variable("JOBS").unwrap_or(JOBS) };
    let began = Instant::now();
    let mut done = futures::stream::iter(seeds)
        .map(|seed| async move { (seed, tokio::spawn(round(Plan::new(seed))).await) })
        .buffer_unordered(jobs);
    let mut total = Report::default();
    let mut failed = Vec::new();
    while let Some((seed, ended)) = done.next().await {
        match ended.context("the round panicked").and_then(|ended| ended) {
            Ok(report) => total.add(&report),
            Err(error) => {
                say(&format!("round SEED={seed} failed: {error:#}"));
                failed.push(seed);
            }
        }
    }
    say(&format!("{rounds} rounds from SEED={first} in {:.0} s: {total:?}", began.elapsed().as_secs_f64()));
    if !failed.is_empty() {
        bail!("{} of {rounds} rounds failed; run one again with SEED=s make chaos: {failed:?}", failed.len());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_that_come_and_go_share_the_work_without_an_error() -> Result<()> {
    if is_named() {
        // Another test has the topics.
        return Ok(());
    }
    let report = round(Plan::of_healthy_workers()).await?;
    ensure!(report.errors.0.is_empty(), "workers that disturb nobody logged:\n{}", report.errors.0.join("\n"));
    Ok(())
}

/// What rounds did, added up.
#[derive(Debug, Default)]
struct Report {
    messages: usize,
    workers: usize,
    starts: usize,
    faults: usize,
    /// Places in the workers at which something failed.
    injected: usize,
    errors: Errors,
}

/// What the workers logged as errors; shown as how many.
#[derive(Default)]
struct Errors(Vec<String>);

impl std::fmt::Debug for Errors {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.len().fmt(formatter)
    }
}

impl Report {
    fn add(&mut self, other: &Report) {
        self.messages += other.messages;
        self.workers += other.workers;
        self.starts += other.starts;
        self.faults += other.faults;
        self.injected += other.injected;
        self.errors.0.extend_from_slice(&other.errors.0);
    }
}

async fn round(plan: Plan) -> Result<Report> {
    let seed = plan.seed;
    let began = Instant::now();
    let mut world = World::start(plan.partitions).await?;
    let result = run(&plan, &mut world).await;
    match result {
        Ok(report) => {
            world.stop(false).await?;
            say(&format!("round SEED={seed}: {:.1} s, {report:?}", began.elapsed().as_secs_f64()));
            Ok(report)
        }
        Err(error) => {
            let kept = world.stop(true).await?;
            Err(error.context(format!("kept in {kept:?}; {plan:?}")))
        }
    }
}

async fn run(plan: &Plan, world: &mut World) -> Result<Report> {
    let workers = start_workers(plan, world);
    let sent = act(plan, world, &workers).await?;
    world.settle().await?;
    let mut report = Report { workers: plan.workers.len(), faults: plan.faults.len(), ..Report::default() };
    let ends = workers.into_iter().map(|worker| worker.end(plan.ends_in_order));
    report.starts = futures::future::try_join_all(ends).await?.iter().sum();
    let truth = Truth::new(world.read_kafka().await?, &sent)?;
    report.messages = truth.count();
    truth.check(&world.lake).await?;
    for entry in std::fs::read_dir(world.folder.path())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let log = std::fs::read_to_string(path)?;
            report.injected += log.matches("injected point=").count();
            report.errors.0.extend(log.lines().filter(|line| line.contains(" ERROR ")).map(ToOwned::to_owned));
        }
    }
    Ok(report)
}

fn start_workers(plan: &Plan, world: &World) -> Vec<Worker> {
    let start = |number: usize, of: &plan::WorkerPlan| {
        let mut environment = world.environment();
        environment.extend(of.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        if of.is_static {
            environment.push(("KAFKA_INSTANCE".to_owned(), format!("worker-{number}")));
        }
        let log = world.folder.path().join(format!("worker-{number}.log"));
        Worker::start(Start { joins: of.joins, environment, lives: of.lives.clone(), log })
    };
    plan.workers.iter().enumerate().map(|(number, of)| start(number, of)).collect()
}

/// Something that has to be done at its time.
enum Step<'p> {
    Send(usize),
    Fault(&'p Fault),
    RedisHasRoom,
    DiskHasRoom,
}

/// Sends the messages and lets things fail; all is well when it returns, except inside the workers.
async fn act(plan: &Plan, world: &mut World, workers: &[Worker]) -> Result<BTreeMap<Place, Made>> {
    let mut steps: Vec<(Duration, Step<'_>)> = Vec::new();
    steps.extend(plan.bursts.iter().map(|(at, count)| (*at, Step::Send(*count))));
    for (at, fault) in &plan.faults {
        steps.push((*at, Step::Fault(fault)));
        match fault {
            Fault::RedisFull(lasts) => steps.push((*at + *lasts, Step::RedisHasRoom)),
            Fault::DiskFull(lasts) => steps.push((*at + *lasts, Step::DiskHasRoom)),
            _ => {}
        }
    }
    steps.sort_by_key(|(at, _)| *at);
    let mut maker = Maker::new(plan.seed);
    let mut sent = BTreeMap::new();
    let began = Instant::now();
    for (at, step) in steps {
        tokio::time::sleep_until(began + at).await;
        match step {
            Step::Send(count) => sent.extend(world.send(maker.make(count)?).await?),
            Step::Fault(fault) => strike(fault, world, workers).await?,
            Step::RedisHasRoom => world.redis(&["CONFIG", "SET", "maxmemory", "512mb"]).await?,
            Step::DiskHasRoom => world.free_disk()?,
        }
    }
    Ok(sent)
}

async fn strike(fault: &Fault, world: &mut World, workers: &[Worker]) -> Result<()> {
    let order = |number: &usize, order: Order| {
        workers.iter().skip(*number).take(1).for_each(|worker| worker.order(order.clone()));
    };
    match fault {
        Fault::Kill(number) => order(number, Order::Kill),
        Fault::Restart(number) => order(number, Order::Restart),
        Fault::Sleep(number, lasts) => order(number, Order::Sleep(*lasts)),
        Fault::Leave { worker, in_order } => order(worker, Order::End { in_order: *in_order }),
        Fault::BrokerRestart => world.restart_broker().await?,
        Fault::RedisWiped => world.redis(&["FLUSHALL"]).await?,
        Fault::RedisKilled => world.redis(&["SHUTDOWN", "NOSAVE"]).await?,
        Fault::RedisFull(_) => world.redis(&["CONFIG", "SET", "maxmemory", "1"]).await?,
        Fault::DiskFull(_) => world.fill_disk()?,
    }
    Ok(())
}
