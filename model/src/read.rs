//! Reads an event in one pass over its text.
//!
//! What a message must be is said by `model::check`, by way of serde. That way reads the text twice, once for the envelope and
//! once for the fields of the topic, and stops at every character to ask what it is. Nearly all events are written plainly:
//! no escapes in names, times in UTC, each field once. [`plainly`] reads those, and says nothing of any other; whoever gets no
//! answer asks `model::check`, which then accepts, or says why not. So only it ever refuses an event, and what is accepted here
//! it would accept with the same values.

use std::borrow::Cow;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de::Error as _};
use sonic_rs::LazyValue;
use uuid::Uuid;

use crate::{
    check::{self, Fault, NoFields},
    event::{Customer, Envelope, MAX_NAME_BYTES, Product, Transaction, TransactionLine, YEARS},
    money,
};

/// What every event has, as Silver keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Head<'a> {
    pub event_id: Uuid,
    pub event_type: Cow<'a, str>,
    /// Microseconds since 1970.
    pub occurred_at: i64,
    pub customer_id: Option<Cow<'a, str>>,
    pub session_id: Option<Cow<'a, str>>,
    pub device: Option<Cow<'a, str>>,
    /// JSON text.
    pub properties: Option<&'a str>,
}

impl<'a> From<Envelope<'a>> for Head<'a> {
    fn from(envelope: Envelope<'a>) -> Head<'a> {
        Head {
            event_id: envelope.event_id,
            event_type: envelope.event_type,
            occurred_at: envelope.occurred_at.timestamp_micros(),
            customer_id: envelope.customer_id,
            session_id: envelope.session_id,
            device: envelope.device,
            properties: envelope.properties.map(serde_json::value::RawValue::get),
        }
    }
}

/// The fields of a topic.
pub trait Fields<'a>: Deserialize<'a> {
    /// An event with these fields, as it is written plainly.
    type Plain: Deserialize<'a>;

    /// The event, if its values are right. `text` is what it was read from.
    fn of(plain: Self::Plain, text: &'a str) -> Option<(Head<'a>, Self)>;
}

/// Reads an event whole.
///
/// # Errors
/// Why it is no event of the topic.
pub fn whole<'a, T: Fields<'a>>(text: &'a str) -> Result<(Head<'a>, T), Fault> {
    match plainly(text) {
        Some(event) => Ok(event),
        None => check::whole(text).map(|(envelope, fields)| (envelope.into(), fields)),
    }
}

/// Opening brackets in a text; serde allows as many levels.
const MOST_BRACKETS: usize = 127;

/// Reads an event that is written plainly, and whose text is one object and nothing else.
#[must_use]
pub fn plainly<'a, T: Fields<'a>>(text: &'a str) -> Option<(Head<'a>, T)> {
    // The reader calls itself for each level: it never sees a text that could have many.
    // (Wrapping, or the compiler looks at one byte at a time.)
    let brackets = text.bytes().map(|byte| usize::from(matches!(byte, b'{' | b'['))).fold(0, usize::wrapping_add);
    if brackets > MOST_BRACKETS {
        return None;
    }
    T::of(sonic_rs::from_str(text).ok()?, text)
}

/// Only strings without escapes can be borrowed; any other ends the reading.
#[derive(Deserialize)]
pub struct PlainHead<'a> {
    event_id: &'a str,
    event_type: &'a str,
    occurred_at: &'a str,
    #[serde(default, borrow)]
    customer_id: Option<&'a str>,
    #[serde(default, borrow)]
    session_id: Option<&'a str>,
    #[serde(default, borrow)]
    device: Option<&'a str>,
    #[serde(default, borrow)]
    properties: Option<LazyValue<'a>>,
}

impl<'a> PlainHead<'a> {
    fn read(self, text: &'a str) -> Option<Head<'a>> {
        Some(Head {
            event_id: Uuid::try_parse(self.event_id).ok()?,
            event_type: name(self.event_type)?,
            occurred_at: instant(self.occurred_at)?,
            customer_id: optional(self.customer_id, name)?,
            session_id: optional(self.session_id, name)?,
            device: optional(self.device, name)?,
            properties: optional(self.properties, |value| part_of(text, value.as_raw_str()))?,
        })
    }
}

#[derive(Deserialize)]
pub struct PlainSale<'a> {
    event_id: &'a str,
    event_type: &'a str,
    occurred_at: &'a str,
    #[serde(default, borrow)]
    customer_id: Option<&'a str>,
    #[serde(default, borrow)]
    session_id: Option<&'a str>,
    #[serde(default, borrow)]
    device: Option<&'a str>,
    #[serde(default, borrow)]
    properties: Option<LazyValue<'a>>,
    transaction_id: &'a str,
    #[serde(default, borrow)]
    store_id: Option<&'a str>,
    #[serde(deserialize_with = "amount")]
    amount: Decimal,
    #[serde(default, deserialize_with = "optional_amount")]
    discount: Option<Decimal>,
    currency: &'a str,
    #[serde(default, borrow)]
    payment_method: Option<&'a str>,
    #[serde(default, borrow)]
    coupon_codes: Vec<&'a str>,
    #[serde(borrow)]
    lines: Vec<PlainLine<'a>>,
}

#[derive(Deserialize)]
struct PlainLine<'a> {
    product_id: &'a str,
    #[serde(deserialize_with = "amount")]
    quantity: Decimal,
    #[serde(default, deserialize_with = "optional_amount")]
    unit_price: Option<Decimal>,
    #[serde(deserialize_with = "amount")]
    amount: Decimal,
    #[serde(default, deserialize_with = "optional_amount")]
    discount: Option<Decimal>,
    #[serde(default, deserialize_with = "optional_amount")]
    coupon_discount: Option<Decimal>,
}

impl<'a> PlainLine<'a> {
    fn read(self) -> Option<TransactionLine<'a>> {
        Some(TransactionLine {
            product_id: name(self.product_id)?,
            quantity: self.quantity,
            unit_price: self.unit_price,
            amount: self.amount,
            discount: self.discount.unwrap_or_default(),
            coupon_discount: self.coupon_discount.unwrap_or_default(),
        })
    }
}

impl<'a> Fields<'a> for NoFields {
    type Plain = PlainHead<'a>;

    fn of(plain: PlainHead<'a>, text: &'a str) -> Option<(Head<'a>, NoFields)> {
        Some((plain.read(text)?, NoFields {}))
    }
}

impl<'a> Fields<'a> for Transaction<'a> {
    type Plain = PlainSale<'a>;

    fn of(plain: PlainSale<'a>, text: &'a str) -> Option<(Head<'a>, Transaction<'a>)> {
        let PlainSale { event_id, event_type, occurred_at, customer_id, session_id, device, properties, .. } = plain;
        let head = PlainHead { event_id, event_type, occurred_at, customer_id, session_id, device, properties };
        let sale = Transaction {
            transaction_id: name(plain.transaction_id)?,
            store_id: optional(plain.store_id, name)?,
            amount: plain.amount,
            discount: plain.discount.unwrap_or_default(),
            currency: currency(plain.currency)?,
            payment_method: optional(plain.payment_method, name)?,
            coupon_codes: plain.coupon_codes.into_iter().map(Cow::Borrowed).collect(),
            lines: plain.lines.into_iter().map(PlainLine::read).collect::<Option<_>>()?,
        };
        Some((head.read(text)?, sale))
    }
}

/// What nothing is read as.
#[derive(Deserialize)]
pub enum Never {}

/// Topics whose events are few are not worth a second way of reading them.
macro_rules! only_by_serde {
    ($fields:ident) => {
        impl<'a> Fields<'a> for $fields<'a> {
            type Plain = Never;

            fn of(plain: Never, _: &'a str) -> Option<(Head<'a>, $fields<'a>)> {
                match plain {}
            }
        }
    };
}

only_by_serde!(Customer);
only_by_serde!(Product);

/// A part of the text with the text's own lifetime.
fn part_of<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    text.get(start..start + part.len())
}

/// What may be absent, but not wrong.
#[expect(clippy::option_option, reason = "the outer one says whether it is right")]
fn optional<T, R>(value: Option<T>, read: impl Fn(T) -> Option<R>) -> Option<Option<R>> {
    value.map_or(Some(None), |value| read(value).map(Some))
}

fn name(name: &str) -> Option<Cow<'_, str>> {
    let plain = !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    plain.then_some(Cow::Borrowed(name))
}

fn currency(currency: &str) -> Option<Cow<'_, str>> {
    let plain = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    plain.then_some(Cow::Borrowed(currency))
}

/// `2025-11-16T10:00:00Z`, with up to nine decimal places, of which six count.
fn instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u32> {
        bytes
            .get(from..to)?
            .iter()
            .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
    };
    let signs = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if bytes.len() < 20 || bytes.last() != Some(&b'Z') || signs.iter().any(|&(place, sign)| bytes[place] != sign) {
        return None;
    }
    let year = i32::try_from(number(0, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5, 7)?, number(8, 10)?)?;
    let time = date.and_hms_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?)?;
    let places = bytes.len() - 20;
    let micros = match places {
        0 => 0,
        2..=7 if bytes[19] == b'.' => number(20, bytes.len() - 1)? * 10_u32.pow(u32::try_from(7 - places).ok()?),
        8..=10 if bytes[19] == b'.' => number(20, bytes.len() - 1)? / 10_u32.pow(u32::try_from(places - 7).ok()?),
        _ => return None,
    };
    YEARS.contains(&year).then(|| time.and_utc().timestamp_micros() + i64::from(micros))
}

fn literal(text: &str) -> Option<Decimal> {
    match text.as_bytes().first()? {
        b'-' | b'0'..=b'9' => money::parse(text).ok(),
        b'"' => money::parse(text.strip_prefix('"')?.strip_suffix('"')?).ok(),
        _ => None,
    }
}

fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let value = LazyValue::deserialize(deserializer)?;
    literal(value.as_raw_str()).ok_or_else(|| D::Error::custom("no plain amount"))
}

fn optional_amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    let value = LazyValue::deserialize(deserializer)?;
    match value.as_raw_str() {
        "null" => Ok(None),
        text => literal(text).map(Some).ok_or_else(|| D::Error::custom("no plain amount")),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    const SALE: &str = r#"{"event_id":"6a2f41a3-c54c-4c4a-9c3e-0d6c6d3c2b11","event_type":"transaction.completed",
        "occurred_at":"2025-11-16T10:00:00.123Z","customer_id":"c-1","transaction_id":"t-1","store_id":"s-1","amount":12.30,
        "discount":0.5,"currency":"EUR","payment_method":"card","coupon_codes":["a","b"],"properties":{"a":[1,{"b":null}]},
        "lines":[{"product_id":"p-1","quantity":2,"unit_price":"6.40","amount":12.3,"discount":0.5},
                 {"product_id":"p-2","quantity":1,"amount":0,"unit_price":null,"more":{"x":1}}]}"#;

    /// What serde makes of it, as text that can be compared.
    fn by_serde<'a, T: Deserialize<'a> + std::fmt::Debug>(text: &'a str) -> Result<String, Fault> {
        check::whole::<T>(text).map(|(envelope, fields)| format!("{:?} {fields:?}", Head::from(envelope)))
    }

    fn by_us<'a, T: Fields<'a> + std::fmt::Debug>(text: &'a str) -> Option<String> {
        plainly::<T>(text).map(|(head, fields)| format!("{head:?} {fields:?}"))
    }

    #[test]
    fn what_is_read_plainly_is_what_serde_reads() {
        assert_eq!(by_us::<Transaction<'_>>(SALE), by_serde::<Transaction<'_>>(SALE).ok());
        assert_eq!(by_us::<NoFields>(SALE), by_serde::<NoFields>(SALE).ok());
        assert!(by_us::<Transaction<'_>>(SALE).is_some() && by_us::<NoFields>(SALE).is_some());
    }

    #[test]
    fn deep_nesting_is_left_to_serde() {
        for levels in [100, 126, 127, 128, 1000, 1_000_000] {
            let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            let text = SALE.replace("\"a\":[1", &format!("\"a\":[{nested}"));
            let by_us = by_us::<NoFields>(&text);
            assert_eq!(by_us.is_some(), levels < 120, "{levels}");
            assert!(by_us.is_none() || by_us == by_serde::<NoFields>(&text).ok());
        }
    }

    /// Every text that differs from a good one in one or two places. `fuzz/` looks further.
    #[test]
    fn what_is_damaged_is_never_accepted_here_alone() {
        let (mut accepted, mut refused) = (0, 0);
        let bytes = b"\"\\{}[]:, 019.-+eEnZTtu\n\x7f";
        for at in 0..SALE.len() {
            for number in 0..3 * bytes.len() {
                let mut damaged = SALE.as_bytes().to_vec();
                let byte = bytes[number / 3];
                match number % 3 {
                    0 => damaged[at] = byte,
                    1 => damaged.insert(at, byte),
                    _ => {
                        damaged.remove(at);
                        let next = (at * 7 + number * 13) % damaged.len();
                        damaged[next] = byte;
                    }
                }
                let Ok(text) = std::str::from_utf8(&damaged) else { continue };
                match by_us::<Transaction<'_>>(text) {
                    Some(read) => {
                        assert_eq!(Ok(read), by_serde::<Transaction<'_>>(text), "{text}");
                        accepted += 1;
                    }
                    None => refused += 1,
                }
            }
        }
        assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
    }

    #[test]
    fn a_field_that_is_there_twice_is_left_to_serde() {
        let text = r#"{"event_id":"6a2f41a3-c54c-4c4a-9c3e-0d6c6d3c2b11","event_type":"a.b","occurred_at":"2025-11-16T10:00:00Z","#;
        assert!(by_us::<NoFields>(&format!(r#"{text}"x":1,"x":2}}"#)).is_some(), "nobody's field may be");
        assert!(by_us::<NoFields>(&format!(r#"{text}"device":null,"device":null}}"#)).is_none());
        assert!(by_us::<NoFields>(&format!(r#"{text}"event_type":"a.b"}}"#)).is_none());
        assert!(by_us::<NoFields>(&format!(r#"{text}"x":1}} {{}}"#)).is_none(), "more than an object");
    }

    #[test]
    fn instants_are_those_of_chrono() {
        for text in [
            "2025-11-16T10:00:00Z",
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59.5Z",
            "2199-12-31T23:59:59.999999Z",
            "2025-11-16T10:00:00.000001Z",
            "2025-11-16T10:00:00.123456789Z",
            "2025-11-16T10:00:00.1234567Z",
        ] {
            let read = DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros());
            assert!(read.is_some());
            assert_eq!(instant(text), read, "{text}");
        }
        for text in [
            "2025-02-29T00:00:00Z",
            "2025-11-16T10:00:60Z",
            "2025-11-16T24:00:00Z",
            "2200-01-01T00:00:00Z",
            "2025-11-16T10:00:00.Z",
            "2025-11-16T10:00:00.0123456789Z",
            "2025-11-16T10:00:00+02:00",
            "2025-11-16 10:00:00Z",
            "2025-1١-16T10:00:00Z",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
