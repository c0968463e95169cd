//! The body of a request with events: read within bounds of its own, which are wider than those of other routes.
//!
//! What all requests hold at once is bounded in bytes, from the moment at which a body begins to arrive until the answer
//! stands. Whoever comes when there is no room is told to come again, before anything is read.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode, header};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::problem::Problem;

/// The largest body, in bytes.
pub const BODY_LIMIT: usize = 16 << 20;
/// A body that takes longer to arrive is given up.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// Room is counted in units of so many bytes ...
const UNIT: usize = 1024;
/// ... and no request counts as less than this, however small: it bounds how many are under way.
const LEAST: usize = 64 << 10;

/// Room for the requests that are under way.
#[derive(Debug)]
pub struct Room {
    units: Arc<Semaphore>,
    all: usize,
}

/// A part of the room; given back when dropped.
#[derive(Debug)]
pub struct Held {
    permit: OwnedSemaphorePermit,
    units: Arc<Semaphore>,
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

impl Room {
    pub fn new(bytes: usize) -> Room {
        let all = bytes / UNIT;
        Room { units: Arc::new(Semaphore::new(all)), all }
    }

    /// What is held now, in bytes.
    pub fn held(&self) -> usize {
        (self.all - self.units.available_permits().min(self.all)) * UNIT
    }

    fn hold(&self, bytes: usize) -> Option<Held> {
        let permit = Arc::clone(&self.units).try_acquire_many_owned(units(bytes.max(LEAST))).ok()?;
        Some(Held { permit, units: Arc::clone(&self.units) })
    }
}

impl Held {
    /// Makes sure that so many bytes are held.
    fn grow(&mut self, bytes: usize) -> bool {
        let more = (units(bytes) as usize).saturating_sub(self.permit.num_permits());
        if more == 0 {
            return true;
        }
        // In steps, so that a body that comes in small pieces does not ask for each.
        let step = units(LEAST).max(u32::try_from(more).unwrap_or(u32::MAX));
        match Arc::clone(&self.units).try_acquire_many_owned(step) {
            Ok(permit) => {
                self.permit.merge(permit);
                true
            }
            Err(_) => false,
        }
    }
}

fn too_large() -> Problem {
    let detail = format!("The body is larger than {} MiB. Send the events in several requests.", BODY_LIMIT >> 20);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn no_room() -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "Too many events are under way to Kafka. Nothing of this request was taken; send it again in a moment.",
    )
}

/// What the request says of its length; none where it does not say.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads the whole body, and holds room for it.
///
/// # Errors
/// It is too large or too slow, is cut off, or there is no room for it.
pub async fn read(body: Body, headers: &HeaderMap, room: &Room) -> Result<(Vec<u8>, Held), Problem> {
    let announced = announced(headers).unwrap_or(0);
    if announced > BODY_LIMIT {
        return Err(too_large());
    }
    let held = room.hold(announced).ok_or_else(no_room)?;
    timeout(TIME_LIMIT, collect(body, announced, held)).await.unwrap_or_else(|_| {
        let detail = format!("The body did not arrive within {} s.", TIME_LIMIT.as_secs());
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
    })
}

async fn collect(body: Body, announced: usize, mut held: Held) -> Result<(Vec<u8>, Held), Problem> {
    let mut bytes = Vec::with_capacity(announced);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::bad_request("The body was cut off on its way."))?;
        let length = bytes.len() + piece.len();
        if length > BODY_LIMIT {
            return Err(too_large());
        }
        if !held.grow(length) {
            return Err(no_room());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes, held))
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn status(outcome: Result<(Vec<u8>, Held), Problem>) -> u16 {
        outcome.expect_err("refused").status().as_u16()
    }

    /// A body that does not say how long it is.
    fn pieces(count: usize) -> Body {
        Body::from_stream(stream::iter((0..count).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]))))
    }

    #[tokio::test]
    async fn room_is_held_until_it_is_given_back() {
        let (room, headers) = (Room::new(4 << 20), HeaderMap::new());
        let (bytes, held) = read(pieces(3), &headers, &room).await.expect("there is room");
        assert_eq!((bytes.len(), room.held()), (3 << 20, 3 << 20));
        assert_eq!(status(read(pieces(2), &headers, &room).await), 429);
        assert_eq!(room.held(), 3 << 20, "what was refused holds nothing");
        drop(held);
        assert_eq!(room.held(), 0);
        let (_, held) = read(Body::from("x"), &headers, &room).await.expect("there is room");
        assert_eq!(room.held(), LEAST);
        drop(held);
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_whether_it_says_so_or_not() {
        let (room, mut headers) = (Room::new(64 << 20), HeaderMap::new());
        assert_eq!(status(read(pieces(17), &headers, &room).await), 413);
        headers.insert(header::CONTENT_LENGTH, (BODY_LIMIT + 1).into());
        assert_eq!(status(read(Body::empty(), &headers, &room).await), 413);
    }
}
