//! Events on the wire: JSON objects with a common envelope and the fields of their topic.
//!
//! The types borrow from the message where they can, so that reading an event copies nothing that is not kept.
//! Fields that are not named here are let through unread: Bronze keeps them, and a producer may be newer than we are.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::money;

/// A basket was paid. Whatever the type, an event of the transaction topic with the fields of a transaction counts as one.
pub const TRANSACTION_COMPLETED: &str = "transaction.completed";
pub const CUSTOMER_REGISTERED: &str = "customer.registered";
pub const PRODUCT_CREATED: &str = "product.created";
pub const COUPON_REDEEMED: &str = "coupon.redeemed";

/// The longest identifier or name that is accepted, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// What every event has. Bronze looks at nothing else.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Envelope<'a> {
    /// Names the event for ever: a second event with the same id is a duplicate and dropped in Silver.
    pub event_id: Uuid,
    /// What happened, as `subject.verb`, for example `transaction.completed`.
    #[serde(borrow, deserialize_with = "name")]
    pub event_type: Cow<'a, str>,
    /// When it happened (RFC 3339; stored in UTC with microseconds).
    #[serde(deserialize_with = "instant")]
    pub occurred_at: DateTime<Utc>,
    #[serde(default, borrow, deserialize_with = "optional_name")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "optional_name")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "optional_name")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Cow<'a, str>>,
    /// Anything else the producer wants to say, kept as JSON text.
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<&'a RawValue>,
}

/// A message of the transaction topic.
#[derive(Debug, Deserialize, Serialize)]
pub struct Transaction<'a> {
    #[serde(borrow, deserialize_with = "name")]
    pub transaction_id: Cow<'a, str>,
    #[serde(default, borrow, deserialize_with = "optional_name")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_id: Option<Cow<'a, str>>,
    /// What the customer paid, discounts already taken off.
    #[serde(deserialize_with = "money::required")]
    pub amount: Decimal,
    /// What was taken off in all: the sum of the lines' discounts.
    #[serde(default, deserialize_with = "money::or_zero")]
    pub discount: Decimal,
    /// ISO 4217, three letters.
    #[serde(borrow, deserialize_with = "currency")]
    pub currency: Cow<'a, str>,
    #[serde(default, borrow, deserialize_with = "optional_name")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub coupon_codes: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    pub lines: Vec<TransactionLine<'a>>,
}

/// One product of a basket.
#[derive(Debug, Deserialize, Serialize)]
pub struct TransactionLine<'a> {
    #[serde(borrow, deserialize_with = "name")]
    pub product_id: Cow<'a, str>,
    #[serde(deserialize_with = "money::required")]
    pub quantity: Decimal,
    /// Price of one before discounts; absent where it cannot be said (a quantity of zero).
    #[serde(default, deserialize_with = "money::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Decimal>,
    /// What the customer paid for the line.
    #[serde(deserialize_with = "money::required")]
    pub amount: Decimal,
    /// Taken off by the store's own offers.
    #[serde(default, deserialize_with = "money::or_zero")]
    pub discount: Decimal,
    /// Taken off by coupons.
    #[serde(default, deserialize_with = "money::or_zero")]
    pub coupon_discount: Decimal,
}

/// A message of the customer topic: what is known of the customer from then on.
#[derive(Debug, Deserialize, Serialize)]
pub struct Customer<'a> {
    #[serde(borrow, deserialize_with = "name")]
    pub customer_id: Cow<'a, str>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub income: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_ownership: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marital_status: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub household_size: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub household_composition: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kids_count: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "money::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_value: Option<Decimal>,
    /// Between 0 and 1.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub churn_probability: Option<f64>,
}

/// A message of the product topic: what is known of the product from then on.
#[derive(Debug, Deserialize, Serialize)]
pub struct Product<'a> {
    #[serde(borrow, deserialize_with = "name")]
    pub product_id: Cow<'a, str>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_type: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturer_id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_size: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "money::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Decimal>,
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<i64>,
    /// Stars, 0 to 5.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<f64>,
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommendation_score: Option<f64>,
}

/// An identifier or a name: 1 to [`MAX_NAME_BYTES`] bytes, no control characters.
fn check_name<E: Error>(value: &str) -> Result<(), E> {
    if value.is_empty() {
        return Err(E::custom("is empty"));
    }
    if value.len() > MAX_NAME_BYTES {
        return Err(E::custom(format!("is {} bytes long; at most {MAX_NAME_BYTES} are accepted", value.len())));
    }
    // Nearly all are plain ASCII, which is looked through without a branch for each byte.
    let plain = value.bytes().fold(true, |plain, byte| plain & (0x20..0x7f).contains(&byte));
    if !plain && value.chars().any(char::is_control) {
        return Err(E::custom("holds a control character"));
    }
    Ok(())
}

/// `Cow` alone would always copy: serde borrows into it only when told to, field by field.
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    let Borrowed(value) = Borrowed::deserialize(deserializer)?;
    check_name(&value)?;
    Ok(value)
}

fn optional_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    let value = Option::<Borrowed<'de>>::deserialize(deserializer)?.map(|Borrowed(value)| value);
    if let Some(value) = &value {
        check_name(value)?;
    }
    Ok(value)
}

fn currency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    let Borrowed(value) = Borrowed::deserialize(deserializer)?;
    if value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(value)
    } else {
        Err(D::Error::custom("expected a currency of three capital letters, such as `EUR`"))
    }
}

/// The years that a partition by date is made for. Anything else is a broken clock or a broken producer.
pub const YEARS: std::ops::RangeInclusive<i32> = 1970..=2199;

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let Borrowed(text) = Borrowed::deserialize(deserializer)?;
    let shown = || text.chars().take(40).collect::<String>();
    let instant = match plain_instant(&text) {
        Some(instant) => instant,
        None => DateTime::parse_from_rfc3339(&text)
            .map_err(|_| {
                D::Error::custom(format!("`{}` is not an RFC 3339 time such as 2025-11-16T10:00:00Z", shown()))
            })?
            .with_timezone(&Utc),
    };
    if YEARS.contains(&instant.year()) {
        Ok(instant)
    } else {
        Err(D::Error::custom(format!("`{}` is outside the years {} to {}", shown(), YEARS.start(), YEARS.end())))
    }
}

/// Reads `2025-11-16T10:00:00Z`, with up to nine decimal places, as nearly all times are written; whatever else RFC 3339 allows
/// is left to chrono.
fn plain_instant(text: &str) -> Option<DateTime<Utc>> {
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
    let nanos = match bytes.len() - 20 {
        0 => 0,
        length @ 2..=10 if bytes[19] == b'.' => {
            number(20, bytes.len() - 1)? * 10_u32.pow(u32::try_from(10 - length).ok()?)
        }
        _ => return None,
    };
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)?;
    Some(date.and_hms_nano_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, nanos)?.and_utc())
}

/// Why an event was not accepted, coarse enough to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Rejection {
    /// The message has no content.
    Empty,
    /// Longer than the configured limit.
    TooLarge,
    /// Not UTF-8, so not JSON.
    NotUtf8,
    /// Not well-formed JSON, or not an object.
    NotJson,
    /// The envelope lacks a field or has one of a wrong type.
    Envelope,
    /// The fields of the event's topic are missing or of a wrong type.
    Fields,
    /// It breaks a quality rule of the settings.
    Quality,
}

impl Rejection {
    pub const ALL: [Rejection; 7] = [
        Rejection::Empty,
        Rejection::TooLarge,
        Rejection::NotUtf8,
        Rejection::NotJson,
        Rejection::Envelope,
        Rejection::Fields,
        Rejection::Quality,
    ];

    /// The name that is stored and counted.
    pub fn name(self) -> &'static str {
        match self {
            Rejection::Empty => "empty",
            Rejection::TooLarge => "too_large",
            Rejection::NotUtf8 => "not_utf8",
            Rejection::NotJson => "not_json",
            Rejection::Envelope => "envelope",
            Rejection::Fields => "fields",
            Rejection::Quality => "quality",
        }
    }

    /// What a person reads.
    pub fn label(self) -> &'static str {
        match self {
            Rejection::Empty => "Empty message",
            Rejection::TooLarge => "Too large",
            Rejection::NotUtf8 => "Not UTF-8 text",
            Rejection::NotJson => "Not valid JSON",
            Rejection::Envelope => "Envelope incomplete or wrong",
            Rejection::Fields => "Fields missing or of the wrong type",
            Rejection::Quality => "Breaks a quality rule",
        }
    }

    pub fn from_name(name: &str) -> Option<Rejection> {
        Rejection::ALL.into_iter().find(|rejection| rejection.name() == name)
    }
}

/// Reads one part of an event from its JSON text.
///
/// # Errors
/// The kind of fault, and a sentence that names the field, or the place where the JSON breaks off.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a str, wrong: Rejection) -> Result<T, (Rejection, String)> {
    serde_json::from_str(text).map_err(|error| {
        if !error.is_data() {
            return (Rejection::NotJson, error.to_string());
        }
        if !text.trim_start().starts_with('{') {
            return (Rejection::NotJson, "expected a JSON object".to_owned());
        }
        // Only a failure pays for the name of the field at fault.
        let named = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(text)).err();
        let path = named.map(|error| error.path().to_string()).filter(|path| path != ".");
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or(&reason);
        (wrong, path.map_or_else(|| reason.to_owned(), |path| format!("{path}: {reason}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"event_id":"6a2f41a3-c54c-4c4a-9c3e-0d6c6d3c2b11","event_type":"transaction.completed",
        "occurred_at":"2025-11-16T10:00:00+02:00","customer_id":"7","transaction_id":"b1","amount":"1.5","currency":"USD",
        "lines":[{"product_id":"p","quantity":1,"amount":1.50}],"later":{"unknown":[1,2,3]}}"#;

    #[test]
    fn a_good_event_is_read_exactly() {
        let envelope: Envelope<'_> = parse(GOOD, Rejection::Envelope).expect("a good envelope");
        assert_eq!(envelope.occurred_at.to_rfc3339(), "2025-11-16T08:00:00+00:00");
        assert!(matches!(envelope.event_type, Cow::Borrowed(_)), "reading must not copy");
        let transaction: Transaction<'_> = parse(GOOD, Rejection::Fields).expect("a good transaction");
        assert_eq!(transaction.amount, transaction.lines[0].amount);
    }

    #[test]
    fn plain_instants_are_those_of_chrono() {
        for text in [
            "2025-11-16T10:00:00Z",
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59.5Z",
            "2199-12-31T23:59:59.999999Z",
            "2025-11-16T10:00:00.000001Z",
            "2025-11-16T10:00:00.123456789Z",
            "2025-11-16T10:00:00.1234567Z",
        ] {
            let read = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
            assert!(read.is_some());
            assert_eq!(plain_instant(text), read, "{text}");
        }
        for text in [
            "2025-02-29T00:00:00Z",
            "2025-11-16T10:00:60Z",
            "2025-11-16T24:00:00Z",
            "2025-11-16T10:00:00.Z",
            "2025-11-16T10:00:00.0123456789Z",
            "2025-11-16T10:00:00+02:00",
            "2025-11-16 10:00:00Z",
            "2025-1١-16T10:00:00Z",
        ] {
            assert_eq!(plain_instant(text), None, "{text}");
        }
    }

    #[test]
    fn names_have_no_control_characters() {
        let customer = |name: &str| {
            let text = GOOD.replace("\"7\"", &format!("\"{name}\""));
            let envelope = parse::<Envelope<'_>>(&text, Rejection::Envelope)?;
            Ok(envelope.customer_id.map(Cow::into_owned))
        };
        for name in ["Zürich", "a b", "~", "顧客"] {
            assert_eq!(customer(name), Ok(Some(name.to_owned())));
        }
        let longest = "n".repeat(MAX_NAME_BYTES + 1);
        for name in ["", r"a\u0000", r"\t", "\u{7f}", "ü\u{85}", &longest] {
            assert_eq!(
                customer(name).map_err(|fault: (Rejection, String)| fault.0),
                Err(Rejection::Envelope),
                "{name:?}"
            );
        }
    }

    #[test]
    fn faults_are_told_apart_and_named() {
        let fault = |text: &str| parse::<Envelope<'_>>(text, Rejection::Envelope).expect_err("must be refused");
        assert_eq!(fault("not json").0, Rejection::NotJson);
        assert_eq!(fault("[1]").0, Rejection::NotJson);
        assert_eq!(fault(r#"{"event_id": NaN}"#).0, Rejection::NotJson);
        assert_eq!(fault(&GOOD.replace("2025-11-16", "99999-11-16")).0, Rejection::Envelope);
        assert_eq!(fault(&GOOD.replace("2025", "9999")).0, Rejection::Envelope);
        assert!(fault(&GOOD.replace("event_type", "kind")).1.contains("missing field `event_type`"));
        assert_eq!(fault(&GOOD.replace("\"7\"", "\"7\\u0000\"")).1, "customer_id: holds a control character");
        let deep = format!("{{\"event_id\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(fault(&deep).0, Rejection::Envelope);
        let wrong =
            parse::<Transaction<'_>>(&GOOD.replace("\"1.5\"", "true"), Rejection::Fields).expect_err("a wrong type");
        assert_eq!(wrong.0, Rejection::Fields);
        assert_eq!(wrong.1, "amount: expected an amount, found `true`");
        let in_a_line = GOOD.replace("\"amount\":1.50", "\"amount\":\"much\"");
        let wrong = parse::<Transaction<'_>>(&in_a_line, Rejection::Fields).expect_err("not an amount");
        assert_eq!(wrong.1, "lines[0].amount: `much` is not a decimal number");
    }
}
