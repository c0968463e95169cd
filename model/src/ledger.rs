//! The books of the pipeline: for each topic and partition, what became of every event.
//!
//! Every number is a count since the beginning. The stages write them in the commits of their rows, so that numbers and rows
//! are of one moment; [`Ledger::audit`] compares what has to agree.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::topic::Layer;

/// What became of the events of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartitionLedger {
    pub topic: String,
    pub partition: i32,
    /// The first offset that the broker still has; null where it did not answer.
    pub broker_first: Option<i64>,
    /// The offset after the broker's last.
    pub broker_end: Option<i64>,
    /// The first offset that Bronze ever saw; null before the first event.
    pub first: Option<i64>,
    /// The offset that Bronze reads next; null before the first event.
    pub next: Option<i64>,
    /// Events in Bronze.
    pub bronze: i64,
    /// Messages that are no events, among the dead letters.
    pub dead_letters: i64,
    /// Offsets without an event: marks of transactions, what compaction took, what the broker deleted before it was read.
    pub no_event: i64,
    /// Whether the dead letters are a step ahead of Bronze, as between two commits.
    pub dead_letters_ahead: bool,
    /// Events of Bronze that Silver has read.
    pub consumed: i64,
    /// Whether Silver had read all of Bronze.
    pub silver_done: bool,
    /// Events in Silver.
    pub silver: i64,
    /// Events that Silver had already.
    pub duplicates: i64,
    /// Events whose fields Silver could not use, among the dead letters.
    pub rejected: i64,
    /// Silver's dead letters, as counted where they are.
    pub silver_letters: i64,
    /// Whether Silver's dead letters are a step ahead of Silver, as between two commits.
    pub silver_letters_ahead: bool,
    /// Events that a rule of quality put aside, among the dead letters.
    pub quarantined: i64,
    /// Events that a rule of quality dropped.
    pub dropped: i64,
}

impl PartitionLedger {
    /// Events that the broker has and Bronze has not read yet; nothing where the broker did not answer.
    #[must_use]
    pub fn waiting(&self) -> Option<i64> {
        let from = self.next.or(self.broker_first)?;
        Some((self.broker_end? - from).max(0))
    }

    /// Offsets from the first that Bronze saw to the last that it read.
    #[must_use]
    pub fn read(&self) -> i64 {
        self.first.zip(self.next).map_or(0, |(first, next)| next - first)
    }

    /// Its name for people.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{} {}", self.topic, self.partition)
    }
}

/// What Gold has of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TopicLedger {
    pub topic: String,
    /// Events in Silver.
    pub silver: i64,
    /// Events of Silver that Gold has taken.
    pub taken: i64,
    /// Whether Gold had taken all of Silver.
    pub gold_done: bool,
    /// The sum over `gold.event_counts`.
    pub gold: i64,
}

/// The rows of a table, counted twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableLedger {
    pub layer: Layer,
    pub name: String,
    /// Rows by the table's own log.
    pub rows: i64,
    /// Rows that the stages counted.
    pub counted: i64,
}

/// Something that has to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Book {
    /// What the broker has reaches as far as Bronze.
    Broker,
    /// The broker kept what was not read yet.
    Retention,
    /// Every offset is in Bronze, a dead letter, or without event.
    Bronze,
    /// Every event of Bronze is in Silver, or it is known why not.
    Silver,
    /// What Silver rejected or quarantined is among the dead letters.
    Rejected,
    /// Every event of Silver is in Gold.
    Gold,
    /// The tables have the rows that were written.
    Rows,
}

impl Book {
    pub const ALL: [Book; 7] =
        [Book::Broker, Book::Retention, Book::Bronze, Book::Silver, Book::Rejected, Book::Gold, Book::Rows];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Book::Broker => "broker",
            Book::Retention => "retention",
            Book::Bronze => "bronze",
            Book::Silver => "silver",
            Book::Rejected => "rejected",
            Book::Gold => "gold",
            Book::Rows => "rows",
        }
    }

    /// What to do when it does not hold.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Book::Broker => {
                "The topic was made anew. Give the lake another path (DELTA_LAKE_PATH), or name the broker that it was filled from."
            }
            Book::Retention => {
                "They are lost unless another copy has them. Keep events longer in Kafka (retention.ms), and find out why the pipeline was behind."
            }
            Book::Bronze => {
                "Keep Kafka from deleting the topic's events, and read the partition again into a lake with another path (DELTA_LAKE_PATH)."
            }
            Book::Silver | Book::Rejected | Book::Gold => {
                "The table was changed by hand, or the program has a fault. Keep the lake as it is; the last commits on the table's page show where it began."
            }
            Book::Rows => {
                "Somebody other than the pipeline changed the table. Its page shows the last commits; bring back the version before."
            }
        }
    }
}

/// A book that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Discrepancy {
    pub book: Book,
    /// The topic and partition, the topic, or the table.
    pub place: String,
    /// Events or rows: above zero there are too many, below zero they are missing.
    pub off_by: i64,
    /// What is wrong, in a sentence.
    pub text: String,
    /// What to do.
    pub advice: String,
}

/// The whole ledger, as of one reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ledger {
    pub at: DateTime<Utc>,
    /// Why the broker's numbers are not known, where they are not.
    pub broker_problem: Option<String>,
    pub partitions: Vec<PartitionLedger>,
    pub topics: Vec<TopicLedger>,
    pub tables: Vec<TableLedger>,
    /// Nothing, when the books balance.
    pub discrepancies: Vec<Discrepancy>,
}

impl Ledger {
    /// Compares what has to agree, and notes what does not.
    #[must_use]
    pub fn audited(mut self) -> Ledger {
        self.discrepancies = self.audit();
        self
    }

    fn audit(&self) -> Vec<Discrepancy> {
        let mut audit = Audit(Vec::new());
        for partition in &self.partitions {
            audit.partition(partition);
        }
        for topic in &self.topics {
            audit.topic(topic);
        }
        for table in &self.tables {
            let place = format!("{}.{}", table.layer.name(), table.name);
            audit.expect(Book::Rows, &place, table.rows - table.counted, || {
                format!("{place} has {} rows, but {} were written.", table.rows, table.counted)
            });
        }
        audit.0
    }
}

struct Audit(Vec<Discrepancy>);

impl Audit {
    fn expect(&mut self, book: Book, place: &str, off_by: i64, text: impl FnOnce() -> String) {
        if off_by != 0 {
            let (place, advice) = (place.to_owned(), book.advice().to_owned());
            self.0.push(Discrepancy { book, place, off_by, text: text(), advice });
        }
    }

    /// What is ahead may have more than what it is compared with; it never has less.
    fn expect_at_least(&mut self, book: Book, place: &str, off_by: i64, done: bool, text: impl FnOnce() -> String) {
        self.expect(book, place, if done { off_by } else { off_by.min(0) }, text);
    }

    fn partition(&mut self, partition: &PartitionLedger) {
        let place = partition.place();
        if let (Some(next), Some(end)) = (partition.next, partition.broker_end) {
            self.expect(Book::Broker, &place, (end - next).min(0), || {
                format!("The broker ends before offset {end}, but Bronze has read up to {next}.")
            });
        }
        if let (Some(next), Some(first)) = (partition.next, partition.broker_first) {
            self.expect(Book::Retention, &place, (next - first).min(0), || {
                format!("The broker deleted the events from {next} to {} before they were read.", first - 1)
            });
        }
        let PartitionLedger { bronze, dead_letters, no_event, .. } = *partition;
        let found = bronze + dead_letters + no_event;
        let ahead = partition.dead_letters_ahead;
        self.expect_at_least(Book::Bronze, &place, found - partition.read(), !ahead, || {
            format!(
                "{} offsets were read, but Bronze ({bronze}), dead letters ({dead_letters}) and offsets without event \
                 ({no_event}) make {found}.",
                partition.read()
            )
        });
        let PartitionLedger { consumed, silver, duplicates, rejected, quarantined, dropped, .. } = *partition;
        let known = silver + duplicates + rejected + quarantined + dropped;
        self.expect(Book::Silver, &place, known - consumed, || {
            format!(
                "Silver read {consumed} events, but those it has ({silver}), duplicates ({duplicates}), rejected ({rejected}), \
                 quarantined ({quarantined}) and dropped ones ({dropped}) make {known}."
            )
        });
        let unread = bronze - consumed;
        let off_by = if partition.silver_done { -unread } else { (-unread).max(0) };
        self.expect(Book::Silver, &place, off_by, || {
            format!("Bronze has {bronze} events, and Silver read {consumed}.")
        });
        let (letters, refused) = (partition.silver_letters, rejected + quarantined);
        self.expect_at_least(Book::Rejected, &place, letters - refused, !partition.silver_letters_ahead, || {
            format!("Silver rejected or quarantined {refused} events, but {letters} are among its dead letters.")
        });
    }

    fn topic(&mut self, topic: &TopicLedger) {
        let TopicLedger { silver, taken, gold, .. } = *topic;
        self.expect(Book::Gold, &topic.topic, gold - taken, || {
            format!("Gold counts {gold} events, but took {taken} from Silver.")
        });
        let off_by = if topic.gold_done { taken - silver } else { (taken - silver).max(0) };
        self.expect(Book::Gold, &topic.topic, off_by, || format!("Silver has {silver} events, and Gold took {taken}."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> PartitionLedger {
        PartitionLedger {
            topic: "t".to_owned(),
            partition: 1,
            broker_first: Some(0),
            broker_end: Some(130),
            first: Some(10),
            next: Some(110),
            bronze: 90,
            dead_letters: 7,
            no_event: 3,
            dead_letters_ahead: false,
            consumed: 90,
            silver_done: true,
            silver: 80,
            duplicates: 4,
            rejected: 3,
            silver_letters: 5,
            silver_letters_ahead: false,
            quarantined: 2,
            dropped: 1,
        }
    }

    fn off(partition: PartitionLedger) -> Vec<(Book, i64)> {
        let ledger = Ledger { partitions: vec![partition], ..Ledger::default() }.audited();
        ledger.discrepancies.iter().map(|found| (found.book, found.off_by)).collect()
    }

    #[test]
    fn what_agrees_balances() {
        assert_eq!(off(partition()), []);
        assert_eq!(partition().waiting(), Some(20));
        assert_eq!(PartitionLedger { next: None, first: None, ..PartitionLedger::default() }.waiting(), None);
    }

    #[test]
    fn each_book_says_by_how_much_it_is_off() {
        assert_eq!(off(PartitionLedger { bronze: 89, consumed: 89, silver: 79, ..partition() }), [(Book::Bronze, -1)]);
        assert_eq!(off(PartitionLedger { silver: 82, ..partition() }), [(Book::Silver, 2)]);
        assert_eq!(off(PartitionLedger { consumed: 89, silver: 79, ..partition() }), [(Book::Silver, -1)]);
        assert_eq!(off(PartitionLedger { silver_letters: 3, ..partition() }), [(Book::Rejected, -2)]);
        assert_eq!(off(PartitionLedger { broker_end: Some(100), ..partition() }), [(Book::Broker, -10)]);
        assert_eq!(off(PartitionLedger { broker_first: Some(115), ..partition() }), [(Book::Retention, -5)]);
    }

    #[test]
    fn what_is_under_way_is_no_discrepancy_and_what_runs_ahead_of_its_source_is_one() {
        let behind = PartitionLedger { silver_done: false, consumed: 60, silver: 50, ..partition() };
        assert_eq!(off(behind.clone()), []);
        assert_eq!(off(PartitionLedger { silver_letters: 9, silver_letters_ahead: true, ..behind.clone() }), []);
        assert_eq!(off(PartitionLedger { consumed: 91, silver: 81, ..behind }), [(Book::Silver, 1)]);
        let ahead = PartitionLedger { dead_letters: 9, dead_letters_ahead: true, ..partition() };
        assert_eq!(off(ahead.clone()), []);
        assert_eq!(off(PartitionLedger { dead_letters: 6, ..ahead }), [(Book::Bronze, -1)]);
    }

    #[test]
    fn gold_and_rows_are_compared_too() {
        let topic = TopicLedger { topic: "t".to_owned(), silver: 80, taken: 70, gold_done: false, gold: 70 };
        let table = TableLedger { layer: Layer::Bronze, name: "x".to_owned(), rows: 5, counted: 5 };
        let of =
            |topics: Vec<TopicLedger>, tables| Ledger { topics, tables, ..Ledger::default() }.audited().discrepancies;
        assert_eq!(of(vec![topic.clone()], vec![table.clone()]), []);
        let found = of(
            vec![TopicLedger { gold_done: true, ..topic.clone() }, TopicLedger { gold: 71, ..topic }],
            vec![TableLedger { rows: 3, ..table }],
        );
        let found: Vec<_> = found.iter().map(|found| (found.book, found.place.as_str(), found.off_by)).collect();
        assert_eq!(found, [(Book::Gold, "t", -10), (Book::Gold, "t", 1), (Book::Rows, "bronze.x", -2)]);
    }
}
