//! The parts that every event passes, each by itself: `cargo bench --workspace --profile dev --bench parts`. The profile is the one
//! that the program is built with.

use chrono::Utc;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etl::produce::generate::Generator;
use model::{
    check::{self, NoFields},
    event::{Envelope, Rejection, Transaction, parse},
    topic::Topic,
};

/// Texts of a kind, and how many bytes they have in all.
struct Sample {
    texts: Vec<String>,
    bytes: u64,
}

impl Sample {
    fn new(texts: Vec<String>) -> Sample {
        let bytes = texts.iter().map(|text| text.len() as u64).sum();
        Sample { texts, bytes }
    }

    fn views() -> Sample {
        let mut generator = Generator::new(1);
        let views = (0..1000).map(|_| generator.page_view_of(250, Utc::now()).expect("plain data"));
        Sample::new(views.map(|view| String::from_utf8(view.payload).expect("JSON")).collect())
    }

    fn sales() -> Sample {
        let mut generator = Generator::new(1);
        let events = (0..1200).map(|_| generator.next(Utc::now()).expect("plain data"));
        let sales = events.filter(|event| event.topic == Topic::Transaction).take(1000);
        Sample::new(sales.map(|sale| String::from_utf8(sale.payload).expect("JSON")).collect())
    }
}

fn reading(criterion: &mut Criterion) {
    let (views, sales) = (Sample::views(), Sample::sales());
    let mut group = criterion.benchmark_group("1000 page views of 250 bytes");
    group.throughput(Throughput::Bytes(views.bytes));
    group.bench_function("envelope", |bencher| {
        bencher.iter(|| {
            views.texts.iter().filter_map(|text| parse::<Envelope<'_>>(text, Rejection::Envelope).ok()).count()
        });
    });
    group.bench_function("envelope and fields", |bencher| {
        bencher.iter(|| views.texts.iter().filter_map(|text| check::whole::<NoFields>(text).ok()).count());
    });
    group.finish();
    let mut group = criterion.benchmark_group("1000 baskets");
    group.throughput(Throughput::Bytes(sales.bytes));
    group.bench_function("envelope and fields", |bencher| {
        bencher.iter(|| sales.texts.iter().filter_map(|text| check::whole::<Transaction<'_>>(text).ok()).count());
    });
    group.finish();
}

criterion_group!(parts, reading);
criterion_main!(parts);
