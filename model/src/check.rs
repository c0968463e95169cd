//! What a message has to pass before it counts as an event of its topic.
//!
//! Bronze asks for the envelope, Silver for the fields of the topic too, and the door for events over HTTP for both before
//! Kafka has them. All of them ask here, so that what the door lets in is no dead letter later.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{
    event::{Customer, Envelope, Product, Rejection, Transaction, parse},
    topic::Topic,
};

/// The kind of fault, and a sentence that says where it is.
pub type Fault = (Rejection, String);

/// Any object will do where only the envelope counts.
#[derive(Debug, Deserialize)]
pub struct NoFields {}

/// The message as text.
fn text(payload: &[u8], max_event_bytes: usize) -> Result<&str, Fault> {
    if payload.is_empty() {
        return Err((Rejection::Empty, "the message has no content".to_owned()));
    }
    if payload.len() > max_event_bytes {
        let reason = format!("the event has {} bytes; at most {max_event_bytes} are accepted", payload.len());
        return Err((Rejection::TooLarge, reason));
    }
    simdutf8::compat::from_utf8(payload)
        .map_err(|error| (Rejection::NotUtf8, format!("invalid UTF-8 at byte {}", error.valid_up_to())))
}

/// Reads the envelope alone.
///
/// # Errors
/// Why the message is none of ours.
pub fn envelope(payload: &[u8], max_event_bytes: usize) -> Result<Envelope<'_>, Fault> {
    parse(text(payload, max_event_bytes)?, Rejection::Envelope)
}

/// Reads the envelope and the fields of a topic.
///
/// # Errors
/// Why the message is no event of that topic.
pub fn whole<'a, T: Deserialize<'a>>(text: &'a str) -> Result<(Envelope<'a>, T), Fault> {
    let envelope = parse(text, Rejection::Envelope)?;
    Ok((envelope, parse(text, Rejection::Fields)?))
}

/// Checks everything that the pipeline will ever ask of the message. The answer is the key that belongs to the event in
/// Kafka, where events of one key stay in order; none where nothing has to stay in order.
///
/// # Errors
/// Why the message would become a dead letter.
pub fn event(topic: Topic, payload: &[u8], max_event_bytes: usize) -> Result<Option<Cow<'_, str>>, Fault> {
    let text = text(payload, max_event_bytes)?;
    Ok(match topic {
        Topic::Transaction => {
            let (envelope, transaction) = whole::<Transaction<'_>>(text)?;
            envelope.customer_id.or(Some(transaction.transaction_id))
        }
        Topic::Customer => Some(whole::<Customer<'_>>(text)?.1.customer_id),
        Topic::Product => Some(whole::<Product<'_>>(text)?.1.product_id),
        Topic::Analytics => {
            let (envelope, NoFields {}) = whole(text)?;
            envelope.customer_id.or(envelope.session_id)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: &str = r#"{"event_id":"6a2f41a3-c54c-4c4a-9c3e-0d6c6d3c2b11","event_type":"page.viewed",
        "occurred_at":"2025-11-16T10:00:00Z","session_id":"s-1"}"#;

    #[test]
    fn what_is_no_event_is_told_why() {
        let rejection = |payload: &[u8]| envelope(payload, 1000).expect_err("must be refused");
        assert_eq!(rejection(b"").0, Rejection::Empty);
        assert_eq!(rejection(&[b' '; 1001]).0, Rejection::TooLarge);
        assert_eq!(rejection(b"{\"a\": \"\xff\"}"), (Rejection::NotUtf8, "invalid UTF-8 at byte 7".to_owned()));
        assert_eq!(rejection(b"{]").0, Rejection::NotJson);
        assert_eq!(rejection(b"{}"), (Rejection::Envelope, "missing field `event_id`".to_owned()));
    }

    #[test]
    fn the_fields_of_the_topic_are_asked_for() {
        let of = |topic, text: &str| event(topic, text.as_bytes(), 1000).map(|key| key.map(Cow::into_owned));
        assert_eq!(of(Topic::Analytics, VIEW), Ok(Some("s-1".to_owned())));
        assert_eq!(of(Topic::Analytics, &VIEW.replace("session_id", "other")), Ok(None));
        let missing = (Rejection::Fields, "missing field `transaction_id`".to_owned());
        assert_eq!(of(Topic::Transaction, VIEW), Err(missing));
        let sale =
            VIEW.replace("\"session_id\":\"s-1\"", r#""transaction_id":"t-1","amount":1,"currency":"EUR","lines":[]"#);
        assert_eq!(of(Topic::Transaction, &sale), Ok(Some("t-1".to_owned())));
        let sale = sale.replace("\"transaction_id\"", "\"customer_id\":\"c-1\",\"transaction_id\"");
        assert_eq!(of(Topic::Transaction, &sale), Ok(Some("c-1".to_owned())));
        assert_eq!(of(Topic::Customer, &sale), Ok(Some("c-1".to_owned())));
        let wrong = of(Topic::Product, VIEW).expect_err("no product");
        assert_eq!(wrong.1, "missing field `product_id`");
    }
}
