//! What a round does to the pipeline, made from a seed alone: the same seed makes the same plan.

use std::{ops::Range, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// How long events are sent and faults begin.
const ACTION: Duration = Duration::from_millis(2_500);

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) partitions: u16,
    pub(crate) workers: Vec<WorkerPlan>,
    /// How many messages are sent when.
    pub(crate) bursts: Vec<(Duration, usize)>,
    pub(crate) faults: Vec<(Duration, Fault)>,
    /// Whether the workers are told to stop in the end, or killed.
    pub(crate) ends_in_order: bool,
}

#[derive(Debug)]
pub(crate) struct WorkerPlan {
    pub(crate) joins: Duration,
    /// A static member of its group.
    pub(crate) is_static: bool,
    pub(crate) settings: Vec<(&'static str, String)>,
    /// FAILPOINTS of each life; in those after them nothing fails.
    pub(crate) lives: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// `kill -9`; the worker comes back.
    Kill(usize),
    /// Told to stop; the worker comes back.
    Restart(usize),
    /// Killed or told to stop, for good.
    Leave {
        worker: usize,
        in_order: bool,
    },
    /// Sleeps, as a computer does, and goes on with what it was at.
    Sleep(usize, Duration),
    BrokerRestart,
    RedisWiped,
    RedisKilled,
    RedisFull(Duration),
    DiskFull(Duration),
}

/// What a step does when it is made to fail, and how often it may be done before that.
const STEPS: [(&str, Range<u32>); 12] = [
    ("poll", 0..150),
    ("buffer.push.before", 0..8),
    ("buffer.push.after", 0..8),
    ("buffer.peek", 0..8),
    ("buffer.trim.before", 0..8),
    ("buffer.trim.after", 0..8),
    ("offsets.before", 0..8),
    ("offsets.after", 0..8),
    ("maintenance.merge.before", 0..2),
    ("maintenance.merge.after", 0..3),
    ("maintenance.log.before", 0..2),
    ("maintenance.log.after", 0..3),
];

const TABLES: [&str; 14] = [
    "bronze/transaction_events",
    "bronze/customer_events",
    "bronze/product_events",
    "bronze/analytics_events",
    "bronze/dead_letters",
    "silver/transactions",
    "silver/transaction_lines",
    "silver/events",
    "silver/customers",
    "silver/products",
    "gold/sales",
    "gold/customer_sales",
    "gold/product_sales",
    "gold/event_counts",
];

const OF_TABLE: [&str; 6] = ["refresh", "read", "files.before", "files.after", "commit.before", "commit.after"];
const OF_THINGS: [&str; 2] = ["merge.before", "merge.after"];

impl Plan {
    pub(crate) fn new(seed: u64) -> Plan {
        let mut random = StdRng::seed_from_u64(seed);
        let workers = random.random_range(1..=3);
        let mut faults = Vec::new();
        for _ in 0..random.random_range(0..=3) {
            faults.push((moment(&mut random), fault(&mut random, workers)));
        }
        for worker in 1..workers {
            if random.random_bool(0.3) {
                faults.push((moment(&mut random), Fault::Leave { worker, in_order: random.random_bool(0.5) }));
            }
        }
        faults.sort_by_key(|(at, _)| *at);
        let mut bursts: Vec<_> =
            (0..random.random_range(3..=6)).map(|_| (moment(&mut random), random.random_range(20..200))).collect();
        bursts.sort_by_key(|(at, _)| *at);
        Plan {
            seed,
            partitions: random.random_range(1..=3),
            workers: (0..workers).map(|number| worker(&mut random, number)).collect(),
            bursts,
            faults,
            ends_in_order: random.random_bool(0.4),
        }
    }

    /// Three workers, of which two come later and one goes early, and nothing that fails.
    pub(crate) fn of_healthy_workers() -> Plan {
        let mut random = StdRng::seed_from_u64(0);
        let mut workers: Vec<_> = (0..3).map(|number| worker(&mut random, number)).collect();
        for worker in &mut workers {
            worker.lives.clear();
            worker.is_static = false;
            // Cutting the log at once disturbs whoever reads it.
            worker.settings.retain(|(name, _)| *name != "MAINTENANCE_LOG_RETENTION_HOURS");
        }
        let sixths = |count: u32| ACTION * count / 6;
        Plan {
            seed: 0,
            partitions: 3,
            workers,
            bursts: (0..6).map(|count| (sixths(count), 100)).collect(),
            faults: vec![(sixths(5), Fault::Leave { worker: 2, in_order: true })],
            ends_in_order: true,
        }
    }
}

fn moment(random: &mut StdRng) -> Duration {
    ACTION.mul_f64(random.random_range(0.0..1.0))
}

fn fault(random: &mut StdRng, workers: usize) -> Fault {
    let worker = random.random_range(0..workers);
    let mut a_while = || Duration::from_millis(random.random_range(200..1_500));
    let (short, long) = (a_while(), a_while() * 3);
    match random.random_range(0..10) {
        0..3 => Fault::Kill(worker),
        3 => Fault::Restart(worker),
        4 => Fault::Sleep(worker, long),
        5 => Fault::BrokerRestart,
        6 => Fault::RedisWiped,
        7 => Fault::RedisKilled,
        8 => Fault::RedisFull(short),
        _ => Fault::DiskFull(short),
    }
}

fn worker(random: &mut StdRng, number: usize) -> WorkerPlan {
    let joins = if number == 0 { Duration::ZERO } else { moment(random).mul_f64(0.7) };
    let any = |random: &mut StdRng, range: Range<u32>| random.random_range(range).to_string();
    let settings = vec![
        ("BUFFER_THRESHOLD", any(random, 5..500)),
        ("BUFFER_MAX_WAIT_MS", any(random, 20..400)),
        ("SILVER_BATCH_EVENTS", any(random, 1..300)),
        ("GOLD_MIN_INTERVAL_MS", any(random, 50..500)),
        ("GOLD_BATCH_ROWS", any(random, 1..500)),
        ("MAINTENANCE_EVERY_COMMITS", any(random, 1..10)),
        ("MAINTENANCE_LOOK_EVERY_SECONDS", "1".to_owned()),
        ("MAINTENANCE_LOG_RETENTION_HOURS", any(random, 0..2)),
    ];
    let lives = (0..random.random_range(0..=4)).map(|_| failpoints(random)).collect();
    WorkerPlan { joins, is_static: random.random_bool(0.5), settings, lives }
}

fn failpoints(random: &mut StdRng) -> String {
    let mut points: Vec<String> = (0..random.random_range(2..=5)).map(|_| failpoint(random)).collect();
    if random.random_bool(0.2) {
        let seconds: i64 = random.random_range(-200_000..200_000);
        points.push(format!("clock={}*off->return({seconds})", random.random_range(0..4)));
    }
    points.join(";")
}

fn failpoint(random: &mut StdRng) -> String {
    let (name, before) = if random.random_bool(0.25) {
        let (name, times) = STEPS.choose(random).expect("there are some").clone();
        (name.to_owned(), random.random_range(times))
    } else {
        let table = TABLES.choose(random).expect("there are some");
        let is_thing = table.ends_with("/customers") || table.ends_with("/products");
        let steps: &[&str] = if is_thing && random.random_bool(0.5) { &OF_THINGS } else { &OF_TABLE };
        let step = steps.choose(random).expect("there are some");
        // Mostly soon: a round is short.
        (format!("{table}.{step}"), random.random_range(0..6).min(random.random_range(0..6)))
    };
    let action = match random.random_range(0..10) {
        0..5 => "1*return(kill)".to_owned(),
        5 | 6 => format!("{}*return(the store failed)", random.random_range(1..4)),
        7 => format!("{}*return(No space left on device)", random.random_range(1..4)),
        8 => format!("1*sleep({})", random.random_range(300..3_500)),
        _ => "1*panic(a fault)".to_owned(),
    };
    format!("{name}={before}*off->{action}->off")
}
