//! The books of the pipeline: what became of every event, and whether the numbers agree.

use leptos::prelude::*;
use model::ledger::{Discrepancy, Ledger, PartitionLedger, TopicLedger};

use crate::format;

/// The columns of numbers: what they are called, and what is meant.
const COLUMNS: [(&str, &str); 11] = [
    ("In Kafka", "Offsets that the broker still has"),
    ("Waiting", "In Kafka, and not read yet"),
    ("Read", "Offsets that the pipeline has read"),
    ("Bronze", "Events that are kept as they came"),
    ("Dead letters", "Messages that are no events"),
    (
        "No event",
        "Offsets without an event: marks of transactions, and what Kafka deleted or compacted before it was read",
    ),
    ("Silver", "Events, each once"),
    ("Duplicates", "Events that were in Silver already"),
    ("Rejected", "Events whose fields could not be used; dead letters too"),
    ("Set aside", "Events that a rule of quality quarantined or dropped"),
    ("Gold", "Events in the sums"),
];

#[component]
pub fn Books(#[prop(into)] ledger: Signal<Ledger>) -> impl IntoView {
    let discrepancies = Memo::new(move |_| ledger.get().discrepancies);
    let broker_problem = Memo::new(move |_| ledger.get().broker_problem);
    let topics = Memo::new(move |_| ledger.with(rows));
    view! {
        <section class="panel" aria-labelledby="books-title">
            <h2 class="panel-title" id="books-title">
                "The books"
            </h2>
            <div role="status">
                {move || verdict(&discrepancies.get())}
                {move || broker_problem.get().map(|why| view! { <p class="muted">{format!("Kafka's own numbers are missing: {why}")}</p> })}
            </div>
            <Show
                when=move || !topics.read().is_empty()
                fallback=|| view! { <p class="empty">"Nothing has been read from Kafka yet."</p> }
            >
                <div class="table-scroll" tabindex="0" role="region" aria-labelledby="books-title">
                    <table class="books">
                        <thead>
                            <tr>
                                <th scope="col">"Topic and partition"</th>
                                {heads()}
                            </tr>
                        </thead>
                        {move || topics.get().into_iter().map(topic).collect_view()}
                    </table>
                </div>
            </Show>
        </section>
    }
    .into_any()
}

fn heads() -> impl IntoView {
    COLUMNS
        .map(|(name, meaning)| {
            view! {
                <th scope="col" class="number" title=meaning>
                    {name}
                </th>
            }
        })
        .collect_view()
}

fn verdict(discrepancies: &[Discrepancy]) -> AnyView {
    if discrepancies.is_empty() {
        return view! {
            <p class="books-verdict">
                <span class="state" data-state="good">
                    <span class="dot" aria-hidden="true"></span>
                    "Balanced to the event"
                </span>
                " Read = Bronze + dead letters + no event. Bronze = Silver + duplicates + rejected + set aside, as far as Silver \
                 has read. Silver = Gold, as far as Gold has."
            </p>
        }
        .into_any();
    }
    let found = discrepancies.iter().map(|found| {
        view! {
            <li>
                <strong>{found.place.clone()}</strong>
                {format!(" is off by {}: {} {}", found.off_by, found.text, found.advice)}
            </li>
        }
    });
    view! {
        <p class="books-verdict">
            <span class="state" data-state="bad">
                <span class="dot" aria-hidden="true"></span>
                "The books do not balance"
            </span>
        </p>
        <ul class="books-off">{found.collect_view()}</ul>
    }
    .into_any()
}

/// A topic with its sums and its partitions.
#[derive(Clone, Debug, PartialEq)]
struct Rows {
    topic: TopicLedger,
    sum: Numbers,
    partitions: Vec<(i32, Numbers)>,
}

/// The numbers of a line; what the broker did not say is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Numbers {
    in_kafka: Option<i64>,
    waiting: Option<i64>,
    others: [i64; 8],
}

impl Numbers {
    fn of(partition: &PartitionLedger) -> Numbers {
        Numbers {
            in_kafka: partition.broker_first.zip(partition.broker_end).map(|(first, end)| end - first),
            waiting: partition.waiting(),
            others: [
                partition.read(),
                partition.bronze,
                partition.dead_letters,
                partition.no_event,
                partition.silver,
                partition.duplicates,
                partition.rejected,
                partition.quarantined + partition.dropped,
            ],
        }
    }

    fn add(mut self, more: &Numbers) -> Numbers {
        let sum = |one: Option<i64>, other: Option<i64>| one.zip(other).map(|(one, other)| one + other);
        self.in_kafka = sum(self.in_kafka, more.in_kafka);
        self.waiting = sum(self.waiting, more.waiting);
        self.others.iter_mut().zip(more.others).for_each(|(number, more)| *number += more);
        self
    }

    fn cells(self) -> impl IntoView {
        let broker = [self.in_kafka, self.waiting];
        let cells = broker.into_iter().chain(self.others.map(Some));
        cells
            .map(|number| view! { <td class="number">{number.map_or_else(|| "–".to_owned(), count)}</td> })
            .collect_view()
    }
}

fn count(number: i64) -> String {
    let digits = format::whole(number.unsigned_abs());
    if number < 0 { format!("-{digits}") } else { digits }
}

fn rows(ledger: &Ledger) -> Vec<Rows> {
    let zero = Numbers { in_kafka: Some(0), waiting: Some(0), ..Numbers::default() };
    let topics = ledger.topics.iter().map(|topic| {
        let of_topic = ledger.partitions.iter().filter(|partition| partition.topic == topic.topic);
        let partitions: Vec<_> = of_topic.map(|partition| (partition.partition, Numbers::of(partition))).collect();
        let sum = partitions.iter().fold(zero, |sum, (_, numbers)| sum.add(numbers));
        Rows { topic: topic.clone(), sum, partitions }
    });
    topics.filter(|rows| !rows.partitions.is_empty()).collect()
}

fn topic(rows: Rows) -> impl IntoView {
    let partitions = rows.partitions.into_iter().map(|(partition, numbers)| {
        view! {
            <tr>
                <th scope="row" class="books-partition">
                    {format!("Partition {partition}")}
                </th>
                {numbers.cells()}
                <td></td>
            </tr>
        }
    });
    view! {
        <tbody>
            <tr class="books-topic">
                <th scope="rowgroup" class="code">
                    {rows.topic.topic}
                </th>
                {rows.sum.cells()}
                <td class="number">{count(rows.topic.gold)}</td>
            </tr>
            {partitions.collect_view()}
        </tbody>
    }
}
