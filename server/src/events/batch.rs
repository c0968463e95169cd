//! From a body to its events: slices of it, as they came.

use std::fmt;

use http::{HeaderMap, StatusCode, header};
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::{Deserializer, value::RawValue};

use crate::problem::Problem;

/// The most events of one request.
pub const MOST_EVENTS: usize = 10_000;

/// How events stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object, or an array of them.
    Json,
    /// One on each line.
    Lines,
}

impl Format {
    pub const ALL: [Format; 2] = [Format::Json, Format::Lines];

    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Lines => "application/x-ndjson",
        }
    }

    /// # Errors
    /// The body is something else, or compressed.
    pub fn of(headers: &HeaderMap) -> Result<Format, Problem> {
        let unsupported = |detail| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return unsupported("The body is compressed, which is not understood here. Send it as it is.");
        }
        let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let said = said.split(';').next().unwrap_or_default().trim();
        match Format::ALL.into_iter().find(|format| said.eq_ignore_ascii_case(format.content_type())) {
            Some(format) => Ok(format),
            None => unsupported(
                "Content-Type must be application/json, for an event or an array of events, or application/x-ndjson, for \
                 one event a line.",
            ),
        }
    }
}

/// An event of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its place in the array, or its line, from 0.
    pub index: usize,
    pub bytes: &'a [u8],
}

/// Why a body as a whole is no events.
pub type Unreadable = (StatusCode, String);

fn bad<T>(detail: impl Into<String>) -> Result<T, Unreadable> {
    Err((StatusCode::BAD_REQUEST, detail.into()))
}

fn too_many<T>() -> Result<T, Unreadable> {
    let detail = format!("The body has more than {MOST_EVENTS} events. Send them in several requests.");
    Err((StatusCode::PAYLOAD_TOO_LARGE, detail))
}

/// Finds the events of a body.
///
/// # Errors
/// There are none, or too many, or it is not what its format asks for; a line by itself is not judged here.
pub fn split(body: &[u8], format: Format) -> Result<Vec<Event<'_>>, Unreadable> {
    let events = match format {
        Format::Json => json(body)?,
        Format::Lines => lines(body)?,
    };
    if events.is_empty() { bad("There are no events in the body.") } else { Ok(events) }
}

fn lines(body: &[u8]) -> Result<Vec<Event<'_>>, Unreadable> {
    let mut events = Vec::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let bytes = line.strip_suffix(b"\r").unwrap_or(line);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if events.len() == MOST_EVENTS {
            return too_many();
        }
        events.push(Event { index, bytes });
    }
    Ok(events)
}

fn json(body: &[u8]) -> Result<Vec<Event<'_>>, Unreadable> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            return bad(format!("The body is not UTF-8: see byte {}. Nothing of it was taken.", error.valid_up_to()));
        }
    };
    let Some(first) = text.bytes().find(|byte| !byte.is_ascii_whitespace()) else { return Ok(Vec::new()) };
    let mut values = Vec::new();
    let read = if first == b'[' {
        let mut deserializer = Deserializer::from_str(text);
        let read = deserializer.deserialize_seq(Elements(&mut values));
        read.and_then(|()| deserializer.end())
    } else {
        serde_json::from_str(text).map(|value| values.push(value))
    };
    match read {
        Ok(()) => {
            Ok(values.iter().enumerate().map(|(index, value)| Event { index, bytes: value.get().as_bytes() }).collect())
        }
        Err(error) if error.is_data() && values.len() == MOST_EVENTS => too_many(),
        Err(error) => bad(format!("The body is not JSON: {error}. Nothing of it was taken.")),
    }
}

/// The elements of an array, as they stand there, up to [`MOST_EVENTS`].
struct Elements<'v, 'a>(&'v mut Vec<&'a RawValue>);

impl<'a> Visitor<'a> for Elements<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(value) = elements.next_element::<&'a RawValue>()? {
            if self.0.len() == MOST_EVENTS {
                return Err(serde::de::Error::custom("too many events"));
            }
            self.0.push(value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str, format: Format) -> Vec<(usize, &str)> {
        let events = split(body.as_bytes(), format).expect("events");
        events.iter().map(|event| (event.index, std::str::from_utf8(event.bytes).expect("text"))).collect()
    }

    #[test]
    fn events_keep_their_bytes() {
        assert_eq!(texts(" {\"a\" : 1.50}\n", Format::Json), [(0, "{\"a\" : 1.50}")]);
        assert_eq!(
            texts("[ {\"a\":\t1} ,\n[2], \"\\u00e9\"]", Format::Json),
            [(0, "{\"a\":\t1}"), (1, "[2]"), (2, "\"\\u00e9\"")]
        );
        assert_eq!(texts("{\"a\": 1}\r\n\n no JSON\n", Format::Lines), [(0, "{\"a\": 1}"), (2, " no JSON")]);
    }

    #[test]
    fn what_holds_no_events_is_refused_with_the_place() {
        let why = |body: &[u8], format| split(body, format).expect_err("refused");
        for (body, format) in
            [("", Format::Json), (" \n", Format::Json), ("[]", Format::Json), ("\n\r\n", Format::Lines)]
        {
            assert_eq!(
                why(body.as_bytes(), format),
                (StatusCode::BAD_REQUEST, "There are no events in the body.".into())
            );
        }
        let (status, detail) = why(b"[{},\n {]}]", Format::Json);
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(detail.contains("line 2 column 3"), "{detail}");
        assert!(why(b"{} {}", Format::Json).1.contains("trailing characters at line 1 column 4"));
        assert!(why(b"[{}] x", Format::Json).1.contains("trailing characters"));
        assert!(why(b"[\"\xff\"]", Format::Json).1.contains("see byte 2"));
    }

    #[test]
    fn their_number_is_bounded() {
        let many = |count: usize, between: &str| vec!["{}"; count].join(between);
        for (count, good) in [(MOST_EVENTS, true), (MOST_EVENTS + 1, false)] {
            let array = format!("[{}]", many(count, ","));
            for (body, format) in [(array, Format::Json), (many(count, "\n"), Format::Lines)] {
                match split(body.as_bytes(), format) {
                    Ok(events) => assert!(good && events.len() == count),
                    Err((status, _)) => assert!(!good && status == StatusCode::PAYLOAD_TOO_LARGE),
                }
            }
        }
        // The array of the greatest length that is broken after its end is broken, not too long.
        let broken = format!("[{}", many(MOST_EVENTS, ","));
        assert_eq!(split(broken.as_bytes(), Format::Json).expect_err("refused").0, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn only_what_is_understood_is_read() {
        let of = |pairs: &[(header::HeaderName, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value)));
            Format::of(&headers.collect()).ok()
        };
        assert_eq!(of(&[(header::CONTENT_TYPE, "application/JSON; charset=utf-8")]), Some(Format::Json));
        assert_eq!(of(&[(header::CONTENT_TYPE, "application/x-ndjson")]), Some(Format::Lines));
        assert_eq!(of(&[(header::CONTENT_TYPE, "text/plain")]), None);
        assert_eq!(of(&[]), None);
        let zipped = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")];
        assert_eq!(of(&zipped), None);
    }
}
