//! Reads the envelope of an event in one pass over its text.
//!
//! What a message must be is said by `model::check`, by way of serde, which stops at every character to ask what it is. Nearly
//! all events are written plainly: no escapes, times in UTC, each field once. [`plainly`] reads those, and says nothing
//! of any other; whoever gets no answer asks `model::check`, which then accepts, or says why not. So only it ever refuses an
//! event, and what is accepted here it would accept with the same values.
//!
//! Events of which fields of a topic are wanted too are read by serde alone: for a basket with its lines that is faster than the
//! lazy reader, which looks at the text once more for each level.

use std::borrow::Cow;

use crate::{
    check::Fault,
    event::{Envelope, MAX_NAME_BYTES, Rejection, YEARS, parse},
};
use chrono::NaiveDate;
use uuid::Uuid;

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

/// Reads the envelope.
///
/// # Errors
/// Why it is no event.
pub fn head(text: &str) -> Result<Head<'_>, Fault> {
    match plainly(text) {
        Some(head) => Ok(head),
        None => parse::<Envelope<'_>>(text, Rejection::Envelope).map(Head::from),
    }
}

/// Reads the envelope of an event that is written plainly, and whose text is one object and nothing else.
#[must_use]
pub fn plainly(text: &str) -> Option<Head<'_>> {
    // The lazy reader does not look closely at escapes: it takes "\uD800\u!" for a string. And what is behind it calls itself
    // for each level: it never sees a text that could have many.
    let (brackets, escapes) = brackets_and_escapes(text);
    if escapes || brackets > MOST_BRACKETS {
        return None;
    }
    let (mut event_id, mut event_type, mut occurred_at) = (None, None, None);
    let (mut customer_id, mut session_id, mut device, mut properties) =
        (Once::new(), Once::new(), Once::new(), Once::new());
    each_field(text, |field, value| match field {
        "event_id" => once(&mut event_id, Uuid::try_parse(string(value)?).ok()?),
        "event_type" => once(&mut event_type, name(value)?),
        "occurred_at" => once(&mut occurred_at, instant(string(value)?)?),
        "customer_id" => customer_id.set(optional(value, name)?),
        "session_id" => session_id.set(optional(value, name)?),
        "device" => device.set(optional(value, name)?),
        "properties" => properties.set(optional(value, Some)?),
        _ => Some(()),
    })?;
    Some(Head {
        event_id: event_id?,
        event_type: Cow::Borrowed(event_type?),
        occurred_at: occurred_at?,
        customer_id: customer_id.value.map(Cow::Borrowed),
        session_id: session_id.value.map(Cow::Borrowed),
        device: device.value.map(Cow::Borrowed),
        properties: properties.value,
    })
}

/// How many opening brackets there are, and whether there is a backslash.
fn brackets_and_escapes(text: &str) -> (usize, bool) {
    let (mut brackets, mut escapes) = (0, 0);
    // So few at a time that a byte can count them, which is what the compiler makes vector instructions of.
    for part in text.as_bytes().chunks(128) {
        let mut opening = 0_u8;
        for &byte in part {
            // `[` and `{` differ in this bit.
            opening = opening.wrapping_add(u8::from(byte | 0x20 == b'{'));
            escapes |= u8::from(byte == b'\\');
        }
        brackets += usize::from(opening);
    }
    (brackets, escapes != 0)
}

/// Opening brackets in a text; serde allows as many levels.
const MOST_BRACKETS: usize = 127;

/// A field that may be absent or null, but not be there twice.
struct Once<T> {
    seen: bool,
    value: Option<T>,
}

impl<T> Once<T> {
    fn new() -> Once<T> {
        Once { seen: false, value: None }
    }

    fn set(&mut self, value: Option<T>) -> Option<()> {
        self.value = value;
        (!std::mem::replace(&mut self.seen, true)).then_some(())
    }
}

/// The same of a field that must be there.
fn once<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

/// Calls for each field of an object with its name and the text of its value. The whole text is checked to be JSON.
fn each_field<'a>(text: &'a str, mut call: impl FnMut(&str, &'a str) -> Option<()>) -> Option<()> {
    let mut end = None;
    for field in sonic_rs::to_object_iter(text) {
        let (name, value) = field.ok()?;
        let (value, after) = part_of(text, value.as_raw_str())?;
        call(name.as_ref(), value)?;
        end = Some(after);
    }
    // The iterator does not look at what comes after the object.
    (text[end?..].trim_matches(WHITESPACE) == "}").then_some(())
}

const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// A part of the text with the text's own lifetime, and where it ends.
fn part_of<'a>(text: &'a str, part: &str) -> Option<(&'a str, usize)> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = start + part.len();
    Some((text.get(start..end)?, end))
}

fn optional<'a, T>(value: &'a str, read: impl Fn(&'a str) -> Option<T>) -> Option<Option<T>> {
    if value == "null" { Some(None) } else { read(value).map(Some) }
}

/// What is in a string; there are no escapes.
fn string(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

fn name(value: &str) -> Option<&str> {
    let name = string(value)?;
    let plain =
        !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    plain.then_some(name)
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

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    const SALE: &str = r#"{"event_id":"6a2f41a3-c54c-4c4a-9c3e-0d6c6d3c2b11","event_type":"transaction.completed",
        "occurred_at":"2025-11-16T10:00:00.123Z","customer_id":"c-1","transaction_id":"t-1","store_id":"s-1","amount":12.30,
        "discount":0.5,"currency":"EUR","payment_method":"card","coupon_codes":["a","b"],"properties":{"a":[1,{"b":null}]},
        "lines":[{"product_id":"p-1","quantity":2,"unit_price":"6.40","amount":12.3,"discount":0.5},
                 {"product_id":"p-2","quantity":1,"amount":0,"unit_price":null,"more":{"x":1}}]}"#;

    fn by_serde(text: &str) -> Result<Head<'_>, Fault> {
        parse::<Envelope<'_>>(text, Rejection::Envelope).map(Head::from)
    }

    #[test]
    fn what_is_read_plainly_is_what_serde_reads() {
        assert!(plainly(SALE).is_some());
        assert_eq!(plainly(SALE), by_serde(SALE).ok());
    }

    #[test]
    fn escapes_are_left_to_serde() {
        for escape in [r"\u00e4", r"\n", r"\uD83D\uDE00", r"\uD83D\uI"] {
            let text = SALE.replace("\"a\":[1", &format!("\"a{escape}\":[1"));
            assert!(text.contains(escape) && plainly(&text).is_none(), "{escape}");
        }
    }

    #[test]
    fn deep_nesting_is_left_to_serde() {
        for levels in [100, 126, 127, 128, 1000, 1_000_000] {
            let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            let text = SALE.replace("\"a\":[1", &format!("\"a\":[{nested}"));
            let by_us = plainly(&text);
            assert_eq!(by_us.is_some(), levels < 120, "{levels}");
            assert!(by_us.is_none() || by_us == by_serde(&text).ok());
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
                match plainly(text) {
                    Some(read) => {
                        assert_eq!(Ok(read), by_serde(text), "{text}");
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
        assert!(plainly(&format!(r#"{text}"x":1,"x":2}}"#)).is_some(), "nobody's field may be");
        assert!(plainly(&format!(r#"{text}"device":null,"device":null}}"#)).is_none());
        assert!(plainly(&format!(r#"{text}"event_type":"a.b"}}"#)).is_none());
        assert!(plainly(&format!(r#"{text}"x":1}} {{}}"#)).is_none(), "more than an object");
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
