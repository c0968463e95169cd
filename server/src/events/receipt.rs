//! What the sender of events is told: of all of them how many are in, and of each what became of it.

use etl::produce::publisher::Delivery;
use http::StatusCode;
use model::{check::Fault, event::Rejection, topic::Topic};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

/// Up to so many events each is told of where the sender does not say what to tell.
const FEW: usize = 100;
/// A reason that quotes the event does not quote all of it.
const LONGEST_REASON: usize = 300;

/// Of which events the sender wants to be told one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    All,
    /// Those that are not accepted.
    Rejected,
}

impl Listing {
    pub const NAMES: [&str; 2] = ["all", "rejected"];

    /// # Errors
    /// There is no such listing.
    pub fn read(name: Option<&str>) -> Result<Option<Listing>, Problem> {
        match name {
            None => Ok(None),
            Some("all") => Ok(Some(Listing::All)),
            Some("rejected") => Ok(Some(Listing::Rejected)),
            Some(other) => Err(Problem::unknown("value of `results`", other, Listing::NAMES)),
        }
    }
}

/// What became of the events of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receipt {
    #[schema(value_type = String, example = "transaction-events")]
    pub topic: &'static str,
    /// Events in the request: the sum of the next three.
    pub received: usize,
    /// In Kafka, acknowledged. They will be in the lake.
    pub accepted: usize,
    /// No events of this topic. They are kept nowhere; sending them again does not help.
    pub rejected: usize,
    /// Not acknowledged by Kafka: they may be in or not. Send them again, which is safe, for the same `event_id` is counted
    /// once.
    pub failed: usize,
    /// In the order of the request: those that are not accepted, or all, as `results` says.
    pub results: Vec<EventResult>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventResult {
    /// Its place in the array, or its line, from 0.
    pub index: usize,
    pub status: EventStatus,
    /// The Kafka partition of an accepted event ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// ... and its offset, if Kafka said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// The kind of fault of a rejected event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Rejection>,
    /// Why it is not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    Accepted,
    Rejected,
    Failed,
}

/// A problem with what became of each event.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptProblem {
    #[serde(flatten)]
    pub problem: Problem,
    #[schema(required = false)]
    pub receipt: Receipt,
}

impl EventResult {
    fn new(index: usize, status: EventStatus) -> EventResult {
        EventResult { index, status, partition: None, offset: None, fault: None, reason: None }
    }

    pub fn rejected(index: usize, (fault, reason): Fault) -> EventResult {
        let reason = match reason.char_indices().nth(LONGEST_REASON) {
            Some((cut, _)) => format!("{} ...", &reason[..cut]),
            None => reason,
        };
        EventResult { fault: Some(fault), reason: Some(reason), ..EventResult::new(index, EventStatus::Rejected) }
    }

    pub fn delivered(index: usize, delivery: Delivery) -> EventResult {
        match delivery {
            Delivery::Acknowledged { partition, offset } => {
                EventResult { partition: Some(partition), offset, ..EventResult::new(index, EventStatus::Accepted) }
            }
            Delivery::TooLarge => {
                EventResult::rejected(index, (Rejection::TooLarge, "Kafka takes no event of that size".to_owned()))
            }
            Delivery::Unknown(why) => {
                let reason = format!("Kafka did not acknowledge it: {why}");
                EventResult { reason: Some(reason), ..EventResult::new(index, EventStatus::Failed) }
            }
        }
    }
}

impl Receipt {
    /// `results` are those of all events.
    pub fn new(topic: Topic, mut results: Vec<EventResult>, listing: Option<Listing>) -> Receipt {
        let count = |status| results.iter().filter(|result| result.status == status).count();
        let (accepted, rejected, failed) =
            (count(EventStatus::Accepted), count(EventStatus::Rejected), count(EventStatus::Failed));
        let received = results.len();
        let all = listing.map_or(received <= FEW, |listing| listing == Listing::All);
        results.retain(|result| all || result.status != EventStatus::Accepted);
        Receipt { topic: topic.name(), received, accepted, rejected, failed, results }
    }

    /// An error wherever doing the same again may help, or nothing was done.
    pub fn status(&self) -> StatusCode {
        match (self.accepted, self.rejected, self.failed) {
            (_, _, 1..) => StatusCode::SERVICE_UNAVAILABLE,
            (_, 0, 0) => StatusCode::OK,
            (0, _, 0) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::MULTI_STATUS,
        }
    }

    /// The body of the answer.
    ///
    /// # Errors
    /// Never in practice: it is plain data.
    pub fn into_json(self) -> serde_json::Result<Vec<u8>> {
        let status = self.status();
        if !status.is_client_error() && !status.is_server_error() {
            return serde_json::to_vec(&self);
        }
        let Receipt { received, failed, .. } = self;
        let detail = if failed > 0 {
            format!(
                "Kafka did not acknowledge {failed} of {received} events; `receipt` says which. Send the request again: \
                 what is in already is counted once."
            )
        } else {
            format!("None of {received} events was accepted; `receipt` says why.")
        };
        serde_json::to_vec(&ReceiptProblem { problem: Problem::new(status, detail), receipt: self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(index: usize) -> EventResult {
        EventResult::delivered(index, Delivery::Acknowledged { partition: 1, offset: Some(7) })
    }

    fn rejected(index: usize) -> EventResult {
        EventResult::rejected(index, (Rejection::Fields, "missing field `amount`".to_owned()))
    }

    fn failed(index: usize) -> EventResult {
        EventResult::delivered(index, Delivery::Unknown("no broker".to_owned()))
    }

    fn receipt(results: Vec<EventResult>) -> Receipt {
        Receipt::new(Topic::Transaction, results, None)
    }

    #[test]
    fn the_status_says_whether_to_send_again() {
        assert_eq!(receipt(vec![accepted(0), accepted(1)]).status(), StatusCode::OK);
        assert_eq!(receipt(vec![accepted(0), rejected(1)]).status(), StatusCode::MULTI_STATUS);
        assert_eq!(receipt(vec![rejected(0)]).status(), StatusCode::UNPROCESSABLE_ENTITY);
        let half = receipt(vec![accepted(0), rejected(1), failed(2)]);
        assert_eq!(half.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((half.received, half.accepted, half.rejected, half.failed), (3, 1, 1, 1));
        let text = String::from_utf8(half.into_json().expect("plain data")).expect("text");
        assert!(text.contains(r#""index":0,"status":"accepted","partition":1,"offset":7"#), "{text}");
        assert!(
            text.contains(r#""index":2,"status":"failed","reason":"Kafka did not acknowledge it: no broker""#),
            "{text}"
        );
        assert!(text.contains(r#""title":"Service Unavailable""#), "{text}");
    }

    #[test]
    fn of_many_events_those_are_told_that_are_not_accepted() {
        let many = || (0..=FEW).map(|index| if index == 5 { rejected(index) } else { accepted(index) }).collect();
        assert_eq!(receipt(many()).results, [rejected(5)]);
        assert_eq!(Receipt::new(Topic::Product, many(), Some(Listing::All)).results.len(), FEW + 1);
        assert_eq!(receipt((0..FEW).map(accepted).collect()).results.len(), FEW);
        assert!(Receipt::new(Topic::Product, vec![accepted(0)], Some(Listing::Rejected)).results.is_empty());
    }

    #[test]
    fn a_reason_is_bounded_whatever_it_quotes() {
        let long = EventResult::rejected(0, (Rejection::Fields, "é".repeat(10_000)));
        assert_eq!(long.reason.expect("a reason").chars().count(), LONGEST_REASON + 4);
    }
}
