//! `Idempotency-Key`: a request that comes again is answered as the first time and does nothing.
//!
//! What was answered is kept in Redis, for a day and within bounds, so that it outlives the web process and is known to all of
//! them. Where it is not kept any more a repeat is carried out again; its events are then in Kafka twice and still counted
//! once, by their `event_id`.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::topic::Topic;
use redis::{Script, aio::ConnectionManager};
use uuid::Uuid;

use super::batch::Format;
use crate::problem::Problem;

pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const LONGEST_KEY: usize = 255;
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer than any request may take: what a process began that ended before it could answer is forgotten then.
const UNDER_WAY_FOR: Duration = Duration::from_secs(60);
/// Of all answers the newest are kept, so many bytes of them.
const MOST_BYTES: usize = 64 << 20;

/// The kept answers by age, each as its size and its record's name.
const BY_AGE: &str = "streamlinehub:idempotency-by-age";
/// The sum of their sizes.
const BYTES: &str = "streamlinehub:idempotency-bytes";

/// Answers what is recorded, or records that the request is under way. KEYS[1]: the record. ARGV: its new content,
/// milliseconds until it is forgotten.
const BEGIN: &str = r"
local recorded = redis.call('GET', KEYS[1])
if not recorded then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return recorded
";

/// Forgets that the request is under way. KEYS[1]: the record. ARGV: its content.
const GIVE_UP: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
";

/// Records the answer, and forgets the oldest where there are too many. KEYS: the record, the answers by age, their bytes.
/// ARGV: the record's content, its new content, milliseconds for which it is kept, the most answers, the most bytes.
const FINISH: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local size = #KEYS[1] + #ARGV[2]
if redis.call('ZADD', KEYS[2], now, size .. ' ' .. KEYS[1]) == 1 then redis.call('INCRBY', KEYS[3], size) end
local function drop(kept)
  redis.call('ZREM', KEYS[2], kept)
  redis.call('DECRBY', KEYS[3], string.match(kept, '^%d+'))
end
for _, kept in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3], 'LIMIT', 0, 100)) do drop(kept) end
while redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[4]) or tonumber(redis.call('GET', KEYS[3])) > tonumber(ARGV[5]) do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not oldest then break end
  drop(oldest)
  redis.call('DEL', string.match(oldest, '^%d+ (.*)$'))
end
";

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

/// What is to be done with a request that has a key.
#[derive(Debug)]
pub enum Begun {
    /// It came for the first time: carry it out, and say how it went.
    First(Turn),
    /// It was answered before.
    Again(Answered),
    /// It is being carried out now.
    UnderWay,
    /// The key came with another request.
    Other,
}

/// A request that is being carried out.
#[derive(Debug)]
pub struct Turn {
    record: String,
    content: String,
    /// Of what was asked.
    fingerprint: String,
}

/// The key of a request.
///
/// # Errors
/// It is none that can be kept.
pub fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let fits = |key: &&str| (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    match key.to_str().ok().filter(fits) {
        Some(key) if keys.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(Problem::bad_request(format!(
            "The header Idempotency-Key comes once and has 1 to {LONGEST_KEY} visible characters of ASCII, such as a UUID."
        ))),
    }
}

/// Whether two requests ask for the same.
pub fn fingerprint(topic: Topic, format: Format, body: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [topic.name().as_bytes(), b"\n", format.content_type().as_bytes(), b"\n", body] {
        context.update(part);
    }
    URL_SAFE_NO_PAD.encode(context.finish())
}

/// The requests that came with a key.
pub struct Repeats {
    redis: ConnectionManager,
    begin: Script,
    give_up: Script,
    finish: Script,
    most: usize,
}

impl Repeats {
    /// The newest `most` answers are kept.
    pub fn new(redis: ConnectionManager, most: usize) -> Repeats {
        let (begin, give_up, finish) = (Script::new(BEGIN), Script::new(GIVE_UP), Script::new(FINISH));
        Repeats { redis, begin, give_up, finish, most }
    }

    /// Looks for a request of this caller with this key; if there is none, it is under way from now on.
    ///
    /// # Errors
    /// Redis does not answer.
    pub async fn begin(&self, caller: Uuid, key: &str, fingerprint: String) -> Result<Begun> {
        let hash = digest::digest(&digest::SHA256, key.as_bytes());
        let record = format!("streamlinehub:idempotency:{caller}:{}", URL_SAFE_NO_PAD.encode(hash));
        let content = format!("under-way {fingerprint} {}", Uuid::new_v4().simple());
        let mut call = self.begin.key(&record);
        call.arg(&content).arg(milliseconds(UNDER_WAY_FOR));
        let recorded: Option<Vec<u8>> = call.invoke_async(&mut self.redis.clone()).await.context("Redis")?;
        let Some(recorded) = recorded else { return Ok(Begun::First(Turn { record, content, fingerprint })) };
        Ok(read(&recorded, &fingerprint).unwrap_or(Begun::Other))
    }

    /// The request was answered: repeats get the same.
    ///
    /// # Errors
    /// Redis does not answer.
    pub async fn finish(&self, turn: &Turn, answered: &Answered) -> Result<()> {
        let mut record = format!("answered {} {}\n", turn.fingerprint, answered.status.as_u16()).into_bytes();
        record.extend_from_slice(&answered.body);
        let mut call = self.finish.key(&turn.record);
        call.key(BY_AGE).key(BYTES).arg(&turn.content).arg(record);
        call.arg(milliseconds(KEPT_FOR)).arg(self.most).arg(MOST_BYTES);
        call.invoke_async::<()>(&mut self.redis.clone()).await.context("Redis")
    }

    /// Nothing came of the request: it may come again.
    ///
    /// # Errors
    /// Redis does not answer.
    pub async fn give_up(&self, turn: &Turn) -> Result<()> {
        let mut call = self.give_up.key(&turn.record);
        call.arg(&turn.content);
        call.invoke_async::<()>(&mut self.redis.clone()).await.context("Redis")
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a record says to a request; none where it is no record of ours.
fn read(record: &[u8], fingerprint: &str) -> Option<Begun> {
    let (head, body) = match record.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&record[..end], &record[end + 1..]),
        None => (record, &record[record.len()..]),
    };
    let mut words = std::str::from_utf8(head).ok()?.split(' ');
    let (state, of) = (words.next()?, words.next()?);
    if of != fingerprint {
        return Some(Begun::Other);
    }
    if state == "under-way" {
        return Some(Begun::UnderWay);
    }
    let status = StatusCode::from_bytes(words.next()?.as_bytes()).ok()?;
    Some(Begun::Again(Answered { status, body: body.to_vec() }))
}

/// Marks an answer as given before.
pub fn mark(headers: &mut HeaderMap) {
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word_that_comes_once() {
        let headers = |keys: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for key in keys {
                headers.append(KEY, HeaderValue::from_static(key));
            }
            headers
        };
        assert_eq!(key_of(&headers(&[])).expect("none is fine"), None);
        assert_eq!(key_of(&headers(&["\"a-1\""])).expect("good").as_deref(), Some("\"a-1\""));
        for bad in [&[""][..], &["two words"], &["a", "a"]] {
            assert_eq!(key_of(&headers(bad)).expect_err("refused").status(), StatusCode::BAD_REQUEST);
        }
        let mut long = HeaderMap::new();
        long.insert(KEY, HeaderValue::from_str(&"x".repeat(LONGEST_KEY + 1)).expect("a value"));
        assert_eq!(key_of(&long).expect_err("refused").status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn whatever_is_asked_differently_has_another_fingerprint() {
        let first = fingerprint(Topic::Product, Format::Json, b"{}");
        assert_eq!(first, fingerprint(Topic::Product, Format::Json, b"{}"));
        assert_ne!(first, fingerprint(Topic::Customer, Format::Json, b"{}"));
        assert_ne!(first, fingerprint(Topic::Product, Format::Lines, b"{}"));
        assert_ne!(first, fingerprint(Topic::Product, Format::Json, b"{} "));
    }

    #[test]
    fn a_record_speaks_to_the_same_request_only() {
        assert!(matches!(read(b"under-way f 1", "f"), Some(Begun::UnderWay)));
        assert!(matches!(read(b"under-way f 1", "g"), Some(Begun::Other)));
        let Some(Begun::Again(answered)) = read(b"answered f 207\n{\"a\":\n1}", "f") else { panic!("it was answered") };
        assert_eq!(answered, Answered { status: StatusCode::MULTI_STATUS, body: b"{\"a\":\n1}".to_vec() });
        assert!(read(b"something else", "f").is_some_and(|begun| matches!(begun, Begun::Other)));
        assert!(read(b"", "f").is_none());
    }
}
