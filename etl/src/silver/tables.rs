//! Events become the rows of each Silver table. Pure functions: what they make depends on the events alone.

use std::{borrow::Cow, sync::Arc};

use anyhow::Result;
use deltalake::arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use model::{
    check,
    event::{Customer, Product, Rejection, Transaction, parse},
    money,
    topic::Topic,
};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::parse::{self, Event, Rejected, Source, SourceBatch};
use crate::lake::schema::{self, TableSpec};

/// The Silver tables that are made from a topic, in the order in which `make` returns their rows.
#[must_use]
pub fn of(topic: Topic) -> Vec<&'static TableSpec> {
    match topic {
        Topic::Transaction => vec![&schema::TRANSACTIONS, &schema::TRANSACTION_LINES, &schema::EVENTS],
        Topic::Customer => vec![&schema::CUSTOMERS, &schema::EVENTS],
        Topic::Product => vec![&schema::PRODUCTS, &schema::EVENTS],
        Topic::Analytics => vec![&schema::EVENTS],
    }
}

/// Rows for one table, and the events that they belong to.
pub(super) struct Rows {
    pub(super) batch: RecordBatch,
    /// Identifier and date (days since 1970) of each event.
    pub(super) events: Vec<(u128, i32)>,
    /// For each row the index of its event.
    pub(super) event_of_row: Vec<usize>,
}

/// What a batch of Bronze rows makes.
pub(super) struct Made {
    pub(super) tables: Vec<Rows>,
    pub(super) rejected: Vec<Rejected>,
}

/// Makes the rows of every table of the topic.
pub(super) fn make(topic: Topic, batches: &[SourceBatch]) -> Result<Made> {
    match topic {
        Topic::Transaction => {
            let (events, rejected) = parse::events(batches, check::whole::<Transaction<'_>>);
            Ok(Made { tables: vec![transactions(&events)?, lines(&events)?, all_events(topic, &events)?], rejected })
        }
        Topic::Customer => {
            let (events, rejected) = parse::events(batches, check::whole::<Customer<'_>>);
            Ok(Made { tables: vec![customers(&events)?, all_events(topic, &events)?], rejected })
        }
        Topic::Product => {
            let (events, rejected) = parse::events(batches, check::whole::<Product<'_>>);
            Ok(Made { tables: vec![products(&events)?, all_events(topic, &events)?], rejected })
        }
        Topic::Analytics => {
            let (events, rejected) = parse::events(batches, |text| Ok((parse(text, Rejection::Envelope)?, ())));
            Ok(Made { tables: vec![all_events(topic, &events)?], rejected })
        }
    }
}

const DAY: i64 = 86_400_000_000;

/// The date of a time in microseconds since 1970, as days since 1970.
#[expect(clippy::cast_possible_truncation, reason = "the years are bounded when the event is read")]
fn date(micros: i64) -> i32 {
    micros.div_euclid(DAY) as i32
}

fn identity<T>(events: &[Event<'_, T>]) -> Vec<(u128, i32)> {
    events.iter().map(|event| (event.envelope.event_id.as_u128(), date(micros(event)))).collect()
}

fn micros<T>(event: &Event<'_, T>) -> i64 {
    event.envelope.occurred_at.timestamp_micros()
}

/// Columns from any rows: how each value is picked is said by a closure.
struct Columns<'r, R> {
    rows: &'r [R],
    made: Vec<ArrayRef>,
}

impl<'r, R> Columns<'r, R> {
    fn new(rows: &'r [R]) -> Columns<'r, R> {
        Columns { rows, made: Vec::new() }
    }

    fn text<'v>(mut self, pick: impl Fn(&'r R) -> &'v str) -> Self {
        self.made.push(Arc::new(StringArray::from_iter_values(self.rows.iter().map(pick))));
        self
    }

    fn optional_text<'v>(mut self, pick: impl Fn(&'r R) -> Option<&'v str>) -> Self {
        let bytes = self.rows.iter().map(|row| pick(row).map_or(0, str::len)).sum();
        let mut builder = StringBuilder::with_capacity(self.rows.len(), bytes);
        self.rows.iter().for_each(|row| builder.append_option(pick(row)));
        self.made.push(Arc::new(builder.finish()));
        self
    }

    fn id(mut self, pick: impl Fn(&'r R) -> uuid::Uuid) -> Self {
        let mut buffer = uuid::Uuid::encode_buffer();
        let mut builder = StringBuilder::with_capacity(self.rows.len(), self.rows.len() * buffer.len());
        for row in self.rows {
            builder.append_value(pick(row).hyphenated().encode_lower(&mut buffer));
        }
        self.made.push(Arc::new(builder.finish()));
        self
    }

    fn time(mut self, pick: impl Fn(&'r R) -> i64) -> Self {
        self.made.push(Arc::new(
            TimestampMicrosecondArray::from_iter_values(self.rows.iter().map(pick)).with_timezone("UTC"),
        ));
        self
    }

    fn amount(self, pick: impl Fn(&'r R) -> Decimal) -> Self {
        self.optional_amount(|row| Some(pick(row)))
    }

    fn optional_amount(mut self, pick: impl Fn(&'r R) -> Option<Decimal>) -> Self {
        let array: Decimal128Array = self.rows.iter().map(|row| pick(row).map(money::to_units)).collect();
        self.made.push(Arc::new(array.with_data_type(schema::amount())));
        self
    }

    /// A sum, which may have more digits than an amount.
    fn total(mut self, pick: impl Fn(&'r R) -> Decimal) -> Self {
        let array = Decimal128Array::from_iter_values(self.rows.iter().map(|row| money::to_units(pick(row))));
        self.made.push(Arc::new(array.with_data_type(schema::total())));
        self
    }

    fn int(mut self, pick: impl Fn(&'r R) -> i32) -> Self {
        self.made.push(Arc::new(Int32Array::from_iter_values(self.rows.iter().map(pick))));
        self
    }

    fn optional_long(mut self, pick: impl Fn(&'r R) -> Option<i64>) -> Self {
        self.made.push(Arc::new(Int64Array::from_iter(self.rows.iter().map(pick))));
        self
    }

    fn optional_float(mut self, pick: impl Fn(&'r R) -> Option<f64>) -> Self {
        self.made.push(Arc::new(Float64Array::from_iter(self.rows.iter().map(pick))));
        self
    }

    /// The columns that every Silver table ends with, and the partition column where it has one.
    fn finish(
        mut self,
        spec: &TableSpec,
        source: impl Fn(&'r R) -> Source,
        occurred_at: impl Fn(&'r R) -> i64,
    ) -> Result<RecordBatch> {
        let rows = self.rows;
        self.made.push(Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| source(row).partition))));
        self.made.push(Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| source(row).offset))));
        self = self.time(|row| source(row).kafka_time).time(|row| source(row).ingested_at);
        if !spec.partitioned_by.is_empty() {
            self.made.push(Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| date(occurred_at(row))))));
        }
        Ok(RecordBatch::try_new(spec.schema.clone(), self.made)?)
    }
}

fn text<'v>(value: &'v Option<Cow<'_, str>>) -> Option<&'v str> {
    value.as_deref()
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn transactions(events: &[Event<'_, Transaction<'_>>]) -> Result<Rows> {
    let codes: Vec<Option<String>> = events
        .iter()
        .map(|event| (!event.fields.coupon_codes.is_empty()).then(|| event.fields.coupon_codes.join(",")))
        .collect();
    let rows: Vec<(&Event<'_, Transaction<'_>>, &Option<String>)> = events.iter().zip(&codes).collect();
    let batch = Columns::new(&rows)
        .id(|(event, _)| event.envelope.event_id)
        .text(|(event, _)| &event.fields.transaction_id)
        .optional_text(|(event, _)| text(&event.envelope.customer_id))
        .optional_text(|(event, _)| text(&event.fields.store_id))
        .time(|(event, _)| micros(event))
        .amount(|(event, _)| event.fields.amount)
        .amount(|(event, _)| event.fields.discount)
        .text(|(event, _)| &event.fields.currency)
        .optional_text(|(event, _)| text(&event.fields.payment_method))
        .optional_text(|(_, codes)| codes.as_deref())
        .total(|(event, _)| event.fields.lines.iter().map(|line| line.quantity).sum())
        .int(|(event, _)| count(event.fields.lines.len()))
        .finish(&schema::TRANSACTIONS, |(event, _)| event.source, |(event, _)| micros(event))?;
    Ok(Rows { batch, events: identity(events), event_of_row: (0..events.len()).collect() })
}

fn lines(events: &[Event<'_, Transaction<'_>>]) -> Result<Rows> {
    let mut rows = Vec::new();
    let mut event_of_row = Vec::new();
    for (index, event) in events.iter().enumerate() {
        for (number, line) in event.fields.lines.iter().enumerate() {
            rows.push((event, number, line));
            event_of_row.push(index);
        }
    }
    let batch = Columns::new(&rows)
        .id(|(event, _, _)| event.envelope.event_id)
        .text(|(event, _, _)| &event.fields.transaction_id)
        .int(|(_, number, _)| count(*number + 1))
        .text(|(_, _, line)| &line.product_id)
        .optional_text(|(event, _, _)| text(&event.envelope.customer_id))
        .optional_text(|(event, _, _)| text(&event.fields.store_id))
        .time(|(event, _, _)| micros(event))
        .amount(|(_, _, line)| line.quantity)
        .optional_amount(|(_, _, line)| line.unit_price)
        .amount(|(_, _, line)| line.amount)
        .amount(|(_, _, line)| line.discount)
        .amount(|(_, _, line)| line.coupon_discount)
        .finish(&schema::TRANSACTION_LINES, |(event, _, _)| event.source, |(event, _, _)| micros(event))?;
    Ok(Rows { batch, events: identity(events), event_of_row })
}

fn all_events<T>(topic: Topic, events: &[Event<'_, T>]) -> Result<Rows> {
    let batch = Columns::new(events)
        .id(|event| event.envelope.event_id)
        .text(|_| topic.name())
        .text(|event| &event.envelope.event_type)
        .time(micros)
        .optional_text(|event| text(&event.envelope.customer_id))
        .optional_text(|event| text(&event.envelope.session_id))
        .optional_text(|event| text(&event.envelope.device))
        .optional_text(|event| event.envelope.properties.map(RawValue::get))
        .finish(&schema::EVENTS, |event| event.source, micros)?;
    Ok(Rows { batch, events: identity(events), event_of_row: (0..events.len()).collect() })
}

fn customers(events: &[Event<'_, Customer<'_>>]) -> Result<Rows> {
    let batch = Columns::new(events)
        .text(|event| &event.fields.customer_id)
        .id(|event| event.envelope.event_id)
        .time(micros)
        .optional_text(|event| text(&event.fields.age))
        .optional_text(|event| text(&event.fields.income))
        .optional_text(|event| text(&event.fields.home_ownership))
        .optional_text(|event| text(&event.fields.marital_status))
        .optional_text(|event| text(&event.fields.household_size))
        .optional_text(|event| text(&event.fields.household_composition))
        .optional_text(|event| text(&event.fields.kids_count))
        .optional_text(|event| text(&event.fields.segment))
        .optional_amount(|event| event.fields.lifetime_value)
        .optional_float(|event| event.fields.churn_probability)
        .optional_text(|event| event.envelope.properties.map(RawValue::get))
        .finish(&schema::CUSTOMERS, |event| event.source, micros)?;
    Ok(Rows { batch, events: identity(events), event_of_row: (0..events.len()).collect() })
}

fn products(events: &[Event<'_, Product<'_>>]) -> Result<Rows> {
    let batch = Columns::new(events)
        .text(|event| &event.fields.product_id)
        .id(|event| event.envelope.event_id)
        .time(micros)
        .optional_text(|event| text(&event.fields.name))
        .optional_text(|event| text(&event.fields.department))
        .optional_text(|event| text(&event.fields.category))
        .optional_text(|event| text(&event.fields.product_type))
        .optional_text(|event| text(&event.fields.brand))
        .optional_text(|event| text(&event.fields.manufacturer_id))
        .optional_text(|event| text(&event.fields.package_size))
        .optional_amount(|event| event.fields.price)
        .optional_long(|event| event.fields.inventory)
        .optional_float(|event| event.fields.rating)
        .optional_float(|event| event.fields.recommendation_score)
        .optional_text(|event| event.envelope.properties.map(RawValue::get))
        .finish(&schema::PRODUCTS, |event| event.source, micros)?;
    Ok(Rows { batch, events: identity(events), event_of_row: (0..events.len()).collect() })
}
