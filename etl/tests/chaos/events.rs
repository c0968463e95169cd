//! The messages of a round: events of every topic, among them late, repeated and widened ones, and what is no event at all.

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use model::topic::Topic;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use uuid::Uuid;

/// The largest event that the round's workers accept, in bytes.
pub(crate) const MAX_EVENT_BYTES: usize = 4_096;

/// What has to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// In Bronze, and its event in Silver.
    Good,
    /// In Bronze, and among Silver's dead letters.
    Untyped,
    /// Among Bronze's dead letters.
    Unreadable,
}

#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) topic: Topic,
    pub(crate) key: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) fate: Fate,
}

pub(crate) struct Maker {
    random: StdRng,
    made: Vec<Made>,
}

const CUSTOMERS: u32 = 12;
const PRODUCTS: u32 = 8;

impl Maker {
    pub(crate) fn new(seed: u64) -> Maker {
        Maker { random: StdRng::seed_from_u64(seed ^ 0x5eed), made: Vec::new() }
    }

    pub(crate) fn make(&mut self, count: usize) -> Result<Vec<Made>> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Result<Made> {
        let made = match self.random.random_range(0..100) {
            0..10 if !self.made.is_empty() => {
                let mut again = self.made.choose(&mut self.random).context("one was made")?.clone();
                if self.random.random_bool(0.3) {
                    // Into any partition.
                    again.key = format!("any-{}", self.random.random::<u16>());
                }
                again
            }
            10..15 => self.garbage(),
            _ => self.event()?,
        };
        self.made.push(made.clone());
        Ok(made)
    }

    /// Mostly around a midnight, some late by days, no two at the same time.
    fn occurred_at(&mut self) -> String {
        let midnight: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().expect("a constant");
        let late = if self.random.random_bool(0.1) { self.random.random_range(-3..0) } else { 0 };
        let near = TimeDelta::milliseconds(self.random.random_range(-5_400_000..5_400_000));
        let unique = TimeDelta::microseconds(i64::try_from(self.made.len()).unwrap_or(0) % 1_000);
        (midnight + TimeDelta::days(late) + near + unique).to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    fn cents(&mut self, most: u32) -> Value {
        let cents = self.random.random_range(0..most);
        json!(format!("{}.{:02}", cents / 100, cents % 100))
    }

    fn event(&mut self) -> Result<Made> {
        let topic = *[Topic::Transaction, Topic::Transaction, Topic::Customer, Topic::Product, Topic::Analytics]
            .choose(&mut self.random)
            .context("there are some")?;
        let id: Uuid = uuid::Builder::from_random_bytes(self.random.random()).into_uuid();
        let customer = format!("c-{}", self.random.random_range(0..CUSTOMERS));
        let mut event = json!({ "event_id": id, "occurred_at": self.occurred_at() });
        let (event_type, key, fields) = match topic {
            Topic::Transaction => ("transaction.completed", customer.clone(), self.transaction(id)?),
            Topic::Customer => {
                ("customer.updated", customer.clone(), json!({ "segment": "s", "lifetime_value": self.cents(9_999) }))
            }
            Topic::Product => {
                let product = format!("p-{}", self.random.random_range(0..PRODUCTS));
                let fields = json!({ "product_id": product, "price": self.cents(9_999), "inventory": self.random.random_range(0..99) });
                ("product.updated", product, fields)
            }
            Topic::Analytics => {
                ("page.viewed", customer.clone(), json!({ "session_id": "s-1", "properties": { "page": "/" } }))
            }
        };
        let into = event.as_object_mut().context("an object")?;
        into.insert("event_type".to_owned(), json!(event_type));
        if topic != Topic::Product {
            into.insert("customer_id".to_owned(), json!(customer));
        }
        into.extend(fields.as_object().context("an object")?.clone());
        if self.random.random_bool(0.1) {
            into.insert("field_of_tomorrow".to_owned(), json!({ "depth": [1, { "two": null }] }));
        }
        let mut fate = Fate::Good;
        if self.random.random_bool(0.05) {
            // A field of another type than it was.
            let (field, value, becomes) = match topic {
                Topic::Transaction => ("amount", json!(true), Fate::Untyped),
                Topic::Customer => ("churn_probability", json!("high"), Fate::Untyped),
                Topic::Product => ("inventory", json!("many"), Fate::Untyped),
                Topic::Analytics => ("occurred_at", json!(20_260_301), Fate::Unreadable),
            };
            into.insert(field.to_owned(), value);
            fate = becomes;
        }
        Ok(Made { topic, key, payload: event.to_string().into_bytes(), fate })
    }

    fn transaction(&mut self, id: Uuid) -> Result<Value> {
        let lines: Vec<Value> = (0..self.random.random_range(1..4))
            .map(|_| {
                json!({
                    "product_id": format!("p-{}", self.random.random_range(0..PRODUCTS)),
                    "quantity": self.random.random_range(1..4),
                    "amount": self.cents(2_000),
                    "discount": self.cents(50),
                })
            })
            .collect();
        let store = format!("store-{}", self.random.random_range(0..3));
        let payment = *["card", "cash"].choose(&mut self.random).context("there are some")?;
        Ok(json!({
            "transaction_id": id.simple().to_string(), "store_id": store, "payment_method": payment,
            "amount": self.cents(9_999), "discount": self.cents(200), "currency": "EUR", "lines": lines,
        }))
    }

    fn garbage(&mut self) -> Made {
        let topic = *Topic::ALL.choose(&mut self.random).expect("there are some");
        let payload = match self.random.random_range(0..6) {
            0 => Vec::new(),
            1 => b"hello".to_vec(),
            2 => b"{}".to_vec(),
            3 => vec![b'{', 0xff, b'}'],
            4 => vec![b' '; MAX_EVENT_BYTES + 1],
            _ => format!("{{\"event_id\":\"{}\"", "x".repeat(self.random.random_range(0..50))).into_bytes(),
        };
        Made { topic, key: "garbage".to_owned(), payload, fate: Fate::Unreadable }
    }
}
