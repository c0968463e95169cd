//! Where the next page of an answer begins: opaque to callers, and good for the question that it came with alone.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use model::{
    query::MAX_ROWS,
    range::{GRAIN, Interval},
};

/// A place in an answer. It holds the interval, so that the pages of `days=7` are of the same seven days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) interval: Interval,
    pub(super) offset: usize,
    question: [u8; 8],
}

/// Names a question, whatever its interval.
pub(super) fn fingerprint(question: &str) -> [u8; 8] {
    let digest = digest::digest(&digest::SHA256, question.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_ref()[..8]);
    bytes
}

impl Cursor {
    pub(super) fn new(interval: Interval, offset: usize, question: &str) -> Cursor {
        Cursor { interval, offset, question: fingerprint(question) }
    }

    pub(super) fn is_of(&self, question: &str) -> bool {
        self.question == fingerprint(question)
    }

    pub(super) fn write(&self) -> String {
        let mut bytes = Vec::with_capacity(28);
        bytes.extend(self.interval.from.timestamp().to_be_bytes());
        bytes.extend(self.interval.to.timestamp().to_be_bytes());
        bytes.extend(u32::try_from(self.offset).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(self.question);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn read(text: &str) -> Option<Cursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let bytes: [u8; 28] = bytes.try_into().ok()?;
        let moment = |range: std::ops::Range<usize>| -> Option<DateTime<Utc>> {
            let seconds = i64::from_be_bytes(bytes[range].try_into().ok()?);
            DateTime::from_timestamp(seconds, 0).filter(|_| seconds % GRAIN.num_seconds() == 0)
        };
        let offset = usize::try_from(u32::from_be_bytes(bytes[16..20].try_into().ok()?)).ok()?;
        let interval = Interval { from: moment(0..8)?, to: moment(8..16)? };
        (offset <= MAX_ROWS).then_some(Cursor { interval, offset, question: bytes[20..].try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nonsense_is_none() {
        let at = |text: &str| text.parse().expect("a time");
        let interval = Interval { from: at("2025-01-01T00:00:00Z"), to: at("2025-02-01T00:00:00Z") };
        let cursor = Cursor::new(interval, 100, "revenue by store");
        let read = Cursor::read(&cursor.write()).expect("a cursor");
        assert_eq!(read, cursor);
        assert!(read.is_of("revenue by store") && !read.is_of("revenue by brand"));
        for text in ["", "x", "AAAA", &Cursor::new(interval, MAX_ROWS + 1, "").write()] {
            assert_eq!(Cursor::read(text), None, "{text}");
        }
    }
}
