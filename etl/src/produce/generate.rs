//! Synthetic load of the same shapes as the real events, without the data set.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use anyhow::Result;
use chrono::{DateTime, Utc};
use model::{
    event::{Envelope, Product, TRANSACTION_COMPLETED, Transaction, TransactionLine},
    topic::Topic,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rust_decimal::Decimal;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Message, NoFields, message, sender::Sender};
use crate::kafka::Cluster;

const PRODUCTS: u32 = 2_000;
const CUSTOMERS: u32 = 5_000;
const STORES: u32 = 50;
const DEPARTMENTS: [&str; 6] = ["Produce", "Bakery", "Dairy", "Meat", "Household", "Drinks"];
const WORDS: [&str; 8] = ["products", "offers", "basket", "search", "help", "stores", "recipes", "account"];
const PAYMENTS: [&str; 4] = ["card", "cash", "wallet", "invoice"];

/// Makes events, the same ones for the same seed and moment.
pub struct Generator {
    random: StdRng,
    made: u64,
}

impl Generator {
    #[must_use]
    pub fn new(seed: u64) -> Generator {
        Generator { random: StdRng::seed_from_u64(seed), made: 0 }
    }

    /// The next event: of twenty, seventeen are transactions, two are page views and one describes a product.
    ///
    /// # Errors
    /// Never in practice: it is plain data.
    pub fn next(&mut self, now: DateTime<Utc>) -> Result<Message> {
        self.made += 1;
        match self.made % 20 {
            0 => self.product(now),
            7 | 14 => self.page_view(now),
            _ => self.transaction(now),
        }
    }

    fn id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random.random()).into_uuid()
    }

    fn envelope<'a>(&mut self, event_type: &'a str, now: DateTime<Utc>, customer: Option<&'a str>) -> Envelope<'a> {
        Envelope {
            event_id: self.id(),
            event_type: Cow::Borrowed(event_type),
            occurred_at: now,
            customer_id: customer.map(Cow::Borrowed),
            session_id: None,
            device: None,
            properties: None,
        }
    }

    fn transaction(&mut self, now: DateTime<Utc>) -> Result<Message> {
        let customer = format!("synthetic-{}", self.random.random_range(0..CUSTOMERS));
        let lines: Vec<TransactionLine<'_>> = (0..self.random.random_range(1..=12)).map(|_| self.line()).collect();
        let envelope = self.envelope(TRANSACTION_COMPLETED, now, Some(&customer));
        let transaction = Transaction {
            transaction_id: Cow::Owned(envelope.event_id.simple().to_string()),
            store_id: Some(Cow::Owned(self.random.random_range(0..STORES).to_string())),
            amount: lines.iter().map(|line| line.amount).sum(),
            discount: lines.iter().map(|line| line.discount).sum(),
            currency: Cow::Borrowed("USD"),
            payment_method: Some(Cow::Borrowed(PAYMENTS[self.random.random_range(0..PAYMENTS.len())])),
            coupon_codes: Vec::new(),
            lines,
        };
        message(Topic::Transaction, &customer, &envelope, &transaction)
    }

    fn line(&mut self) -> TransactionLine<'static> {
        let quantity = Decimal::from(self.random.random_range(1..=4));
        let unit_price = Decimal::new(self.random.random_range(49..2_000), 2);
        let discount = Decimal::new(self.random.random_range(0..49), 2);
        TransactionLine {
            product_id: Cow::Owned(format!("synthetic-{}", self.random.random_range(0..PRODUCTS))),
            quantity,
            unit_price: Some(unit_price),
            amount: quantity * unit_price - discount,
            discount,
            coupon_discount: Decimal::ZERO,
        }
    }

    fn page_view(&mut self, now: DateTime<Utc>) -> Result<Message> {
        let customer = format!("synthetic-{}", self.random.random_range(0..CUSTOMERS));
        let session = self.id().simple().to_string();
        let mut envelope = self.envelope("page.viewed", now, Some(&customer));
        envelope.session_id = Some(Cow::Borrowed(&session));
        envelope.device = Some(Cow::Borrowed(if self.random.random_bool(0.6) { "mobile" } else { "desktop" }));
        message(Topic::Analytics, &customer, &envelope, &NoFields {})
    }

    /// A page view whose JSON has exactly so many bytes, or a few more where they do not suffice for one.
    ///
    /// # Errors
    /// Never in practice: it is plain data.
    pub fn page_view_of(&mut self, bytes: usize, now: DateTime<Utc>) -> Result<Message> {
        let customer = format!("synthetic-{}", self.random.random_range(0..CUSTOMERS));
        let session = self.random.random::<u32>().to_string();
        let mut envelope = self.envelope("page.viewed", now, Some(&customer));
        envelope.session_id = Some(Cow::Borrowed(&session));
        let bare = message(Topic::Analytics, &customer, &envelope, &NoFields {})?.payload.len();
        let around = r#","properties":{"path":""}"#.len();
        let mut path = String::with_capacity(bytes);
        while bare + around + path.len() < bytes {
            path.push('/');
            path.push_str(WORDS[self.random.random_range(0..WORDS.len())]);
            path.push_str(&self.random.random_range(0..PRODUCTS).to_string());
        }
        path.truncate(bytes.saturating_sub(bare + around));
        let properties = serde_json::value::to_raw_value(&serde_json::json!({ "path": path }))?;
        envelope.properties = Some(&properties);
        message(Topic::Analytics, &customer, &envelope, &NoFields {})
    }

    fn product(&mut self, now: DateTime<Utc>) -> Result<Message> {
        let number = self.random.random_range(0..PRODUCTS);
        let id = format!("synthetic-{number}");
        let product = Product {
            product_id: Cow::Borrowed(&id),
            name: Some(Cow::Owned(format!("Synthetic product {number}"))),
            department: Some(Cow::Borrowed(DEPARTMENTS[number as usize % DEPARTMENTS.len()])),
            category: None,
            product_type: None,
            brand: Some(Cow::Borrowed(if number % 3 == 0 { "Private" } else { "National" })),
            manufacturer_id: None,
            package_size: None,
            price: Some(Decimal::new(self.random.random_range(49..2_000), 2)),
            inventory: Some(self.random.random_range(0..500)),
            rating: None,
            recommendation_score: None,
        };
        let envelope = self.envelope("product.updated", now, None);
        message(Topic::Product, &id, &envelope, &product)
    }
}

/// Which events, how many, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Events per second; 0 for as fast as Kafka takes them.
    pub rate: f64,
    pub count: u64,
    /// The same seed makes the same events.
    pub seed: u64,
    /// Page views of so many bytes, instead of a mixture.
    pub bytes: Option<usize>,
}

/// Sends events. Blocks.
///
/// # Errors
/// When Kafka does not take an event.
pub fn run(cluster: &Cluster, load: Load, stop: &CancellationToken) -> Result<u64> {
    let Load { rate, count, seed, bytes } = load;
    let mut sender = Sender::new(cluster)?;
    let mut generator = Generator::new(seed);
    let began = Instant::now();
    let mut sent = 0;
    while sent < count && !stop.is_cancelled() {
        let now = Utc::now();
        let message = match bytes {
            Some(bytes) => generator.page_view_of(bytes, now)?,
            None => generator.next(now)?,
        };
        sender.send(&message)?;
        sent += 1;
        if rate > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "a pace")]
            let due = Duration::from_secs_f64(sent as f64 / rate);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
    sender.flush()?;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use model::check;

    use super::*;

    #[test]
    fn a_page_view_is_as_long_as_it_is_said_to_be() {
        let mut generator = Generator::new(1);
        for bytes in [250, 300, 1000] {
            let message = generator.page_view_of(bytes, Utc::now()).expect("plain data");
            assert_eq!(message.payload.len(), bytes);
            check::event(message.topic, &message.payload, 1 << 20).expect("an event of its topic");
        }
    }

    #[test]
    fn what_is_made_is_an_event_and_has_the_key_of_its_topic() {
        let mut generator = Generator::new(1);
        let mut topics = std::collections::BTreeSet::new();
        for _ in 0..60 {
            let message = generator.next(Utc::now()).expect("plain data");
            let key = check::event(message.topic, &message.payload, 1 << 20).expect("an event of its topic");
            assert_eq!(key.as_deref(), Some(message.key.as_str()));
            topics.insert(message.topic);
        }
        assert_eq!(topics.len(), 3);
    }
}
