//! The log of a topic's partition: Kafka's record batches as producers sent them, one after the other in segment files.
//!
//! Nothing is parsed on the way in or out but the header of a batch; what a producer compressed stays compressed. A batch is
//! acknowledged when the file has it, so that it survives the end of the process; what a crash left of the last batch is cut off
//! at the next start, by its length and checksum. The layout of a batch is Kafka's own ("record batch", message format 2):
//! <https://kafka.apache.org/documentation/#recordbatch>.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytes::{Buf, Bytes};
use crc_fast::CrcAlgorithm;
use tansu_sans_io::{
    ErrorCode,
    record::{deflated, inflated},
};
use tracing::warn;

/// A segment is closed when it has this many bytes. Opening a log reads its last segment whole.
const SEGMENT_BYTES: u64 = 64 << 20;
/// The index has an entry for about each so many bytes; a look-up reads the headers of what lies between.
const INDEX_BYTES: u64 = 64 << 10;
/// Bytes of a batch before its records.
const HEADER: usize = 61;
/// Bytes of a batch that its own length does not count: the offset and the length.
const UNCOUNTED: usize = 12;
/// The checksum covers the batch from here on.
const CHECKED_FROM: usize = 21;

/// Why a batch was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// The producer is told this.
    Code(ErrorCode),
    /// The disk does not take it; it is cut off again.
    Disk(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Disk(error)
    }
}

#[derive(Debug)]
pub(super) struct PartitionLog {
    folder: PathBuf,
    /// Never empty; the last one is written to.
    segments: Vec<Segment>,
    /// The offset of the next record.
    next: i64,
    /// What producers that number their batches sent last, as far as the last segment tells.
    producers: HashMap<i64, Producer>,
    /// Written since the last [`PartitionLog::sync`].
    dirty: bool,
}

#[derive(Debug)]
struct Segment {
    /// The offset of its first record.
    base: i64,
    file: File,
    /// Bytes of whole batches.
    length: u64,
    /// Some of its batches, in order; read when it is first needed.
    index: Option<Vec<Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: i64,
    position: u64,
}

#[derive(Clone, Copy, Debug)]
struct Producer {
    epoch: i16,
    first_sequence: i32,
    next_sequence: i32,
    /// Where its last batch begins.
    offset: i64,
}

/// What is read of a batch to find it.
#[derive(Clone, Copy, Debug)]
struct Header {
    offset: i64,
    /// Of the whole batch.
    bytes: u64,
    last_offset_delta: i32,
    max_timestamp: i64,
    producer: i64,
    epoch: i16,
    sequence: i32,
}

impl Header {
    /// `None` where no batch begins.
    fn parse(mut bytes: &[u8]) -> Option<Header> {
        if bytes.len() < HEADER {
            return None;
        }
        let offset = bytes.get_i64();
        let length = usize::try_from(bytes.get_i32()).ok().filter(|&length| length >= HEADER - UNCOUNTED)?;
        bytes.advance(4);
        if bytes.get_i8() != 2 {
            return None;
        }
        bytes.advance(6);
        let last_offset_delta = bytes.get_i32();
        bytes.advance(8);
        let max_timestamp = bytes.get_i64();
        let (producer, epoch, sequence) = (bytes.get_i64(), bytes.get_i16(), bytes.get_i32());
        let bytes = (length + UNCOUNTED) as u64;
        Some(Header { offset, bytes, last_offset_delta, max_timestamp, producer, epoch, sequence })
    }

    /// The offset after its last record.
    fn end(&self) -> i64 {
        self.offset + i64::from(self.last_offset_delta) + 1
    }
}

impl Segment {
    fn path(folder: &Path, base: i64) -> PathBuf {
        folder.join(format!("{base:020}.log"))
    }

    fn open(folder: &Path, base: i64) -> io::Result<Segment> {
        let path = Segment::path(folder, base);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let length = file.metadata()?.len();
        Ok(Segment { base, file, length, index: None })
    }

    /// The header at a position; `None` at the end.
    fn header(&self, position: u64) -> io::Result<Option<Header>> {
        if self.length < position + HEADER as u64 {
            return Ok(None);
        }
        let mut bytes = [0; HEADER];
        self.file.read_exact_at(&mut bytes, position)?;
        Ok(Header::parse(&bytes).filter(|header| position + header.bytes <= self.length))
    }

    fn read(&self, position: u64, bytes: u64) -> io::Result<Bytes> {
        let mut buffer = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut buffer, position)?;
        Ok(buffer.into())
    }

    /// The first batch from a position on for which `wanted` holds, and where it is.
    fn find(&self, mut position: u64, wanted: impl Fn(&Header) -> bool) -> io::Result<Option<(u64, Header)>> {
        while let Some(header) = self.header(position)? {
            if wanted(&header) {
                return Ok(Some((position, header)));
            }
            position += header.bytes;
        }
        Ok(None)
    }

    /// The batch that has the offset, and where it is.
    fn find_offset(&mut self, offset: i64) -> io::Result<Option<(u64, Header)>> {
        if self.index.is_none() {
            let mut index = Vec::new();
            let mut position = 0;
            while let Some(header) = self.header(position)? {
                note(&mut index, header.offset, position);
                position += header.bytes;
            }
            self.index = Some(index);
        }
        let index = self.index.as_deref().unwrap_or_default();
        let before = index.partition_point(|entry| entry.offset <= offset).checked_sub(1);
        self.find(before.map_or(0, |place| index[place].position), |header| header.end() > offset)
    }
}

/// Adds a batch to the index, if it is far enough from the last one in it.
fn note(index: &mut Vec<Entry>, offset: i64, position: u64) {
    if index.last().is_none_or(|last| position >= last.position + INDEX_BYTES) {
        index.push(Entry { offset, position });
    }
}

fn is_whole(batch: &[u8]) -> bool {
    let Some((expected, checked)) = batch.get(CHECKED_FROM - 4..CHECKED_FROM).zip(batch.get(CHECKED_FROM..)) else {
        return false;
    };
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, checked) == u64::from((&*expected).get_u32())
}

impl PartitionLog {
    /// Opens the log in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub(super) fn open(folder: &Path) -> io::Result<PartitionLog> {
        fs::create_dir_all(folder)?;
        let mut bases: Vec<i64> = Vec::new();
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            let base = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<i64>().ok());
            bases.extend(base.filter(|_| path.extension().is_some_and(|extension| extension == "log")));
        }
        bases.sort_unstable();
        if bases.is_empty() {
            bases.push(0);
        }
        let segments: Vec<Segment> =
            bases.into_iter().map(|base| Segment::open(folder, base)).collect::<io::Result<_>>()?;
        let mut log =
            PartitionLog { folder: folder.to_owned(), segments, next: 0, producers: HashMap::new(), dirty: false };
        log.recover()?;
        Ok(log)
    }

    /// Reads the last segment and cuts off what is no whole batch.
    fn recover(&mut self) -> io::Result<()> {
        let Some(last) = self.segments.last_mut() else { return Ok(()) };
        let mut index = Vec::new();
        let (mut position, mut next) = (0, last.base);
        while let Some(header) = last.header(position)? {
            if header.offset != next || !is_whole(&last.read(position, header.bytes)?) {
                break;
            }
            note(&mut index, header.offset, position);
            if header.producer >= 0 && header.sequence >= 0 {
                self.producers.insert(header.producer, Producer::after(&header));
            }
            next = header.end();
            position += header.bytes;
        }
        if position < last.length {
            warn!(
                folder = %self.folder.display(),
                bytes = last.length - position,
                "the broker's log ends within a batch that nobody was told is there; it is cut off"
            );
            last.file.set_len(position)?;
            last.length = position;
        }
        last.index = Some(index);
        self.next = next;
        Ok(())
    }

    /// The offset of the first record.
    pub(super) fn start(&self) -> i64 {
        self.segments.first().map_or(0, |segment| segment.base)
    }

    /// The offset of the record that comes next.
    pub(super) fn end(&self) -> i64 {
        self.next
    }

    /// Adds a batch; answers the offset of its first record. A numbered batch that was sent again is answered as the first time.
    ///
    /// # Errors
    /// See [`Refused`]; then nothing is added.
    pub(super) fn append(&mut self, mut batch: deflated::Batch) -> Result<i64, Refused> {
        let records = i64::from(batch.record_count);
        if batch.magic != 2 || records == 0 || i64::from(batch.last_offset_delta) + 1 != records {
            return Err(Refused::Code(ErrorCode::InvalidRecord));
        }
        if let Some(known) = self.sent_before(&batch)? {
            return Ok(known);
        }
        batch.base_offset = self.next;
        let bytes = Bytes::from(batch);
        let Some(header) = Header::parse(&bytes).filter(|header| header.bytes == bytes.len() as u64) else {
            return Err(Refused::Code(ErrorCode::CorruptMessage));
        };
        if !is_whole(&bytes) {
            return Err(Refused::Code(ErrorCode::CorruptMessage));
        }
        let full = |last: &Segment| last.length > 0 && last.length + header.bytes > SEGMENT_BYTES;
        if self.segments.last().is_none_or(full) {
            self.sync()?;
            let mut segment = Segment::open(&self.folder, self.next)?;
            segment.index = Some(Vec::new());
            self.segments.push(segment);
        }
        let Some(last) = self.segments.last_mut() else {
            return Err(Refused::Disk(io::Error::other("the log has no segment")));
        };
        if let Err(error) = last.file.write_all_at(&bytes, last.length) {
            // Where even this fails the next batch is written over it.
            _ = last.file.set_len(last.length);
            return Err(Refused::Disk(error));
        }
        if let Some(index) = &mut last.index {
            note(index, self.next, last.length);
        }
        last.length += header.bytes;
        self.dirty = true;
        if header.producer >= 0 && header.sequence >= 0 {
            self.producers.insert(header.producer, Producer::after(&header));
        }
        self.next = header.end();
        Ok(header.offset)
    }

    /// Where a batch is already that its producer sends again.
    fn sent_before(&self, batch: &deflated::Batch) -> Result<Option<i64>, Refused> {
        if !batch.is_idempotent() {
            return Ok(None);
        }
        let Some(known) = self.producers.get(&batch.producer_id) else { return Ok(None) };
        if batch.producer_epoch < known.epoch {
            return Err(Refused::Code(ErrorCode::InvalidProducerEpoch));
        }
        if batch.producer_epoch > known.epoch || batch.base_sequence == known.next_sequence {
            return Ok(None);
        }
        if batch.base_sequence == known.first_sequence {
            return Ok(Some(known.offset));
        }
        let sent = batch.base_sequence < known.next_sequence;
        Err(Refused::Code(if sent { ErrorCode::DuplicateSequenceNumber } else { ErrorCode::OutOfOrderSequenceNumber }))
    }

    /// Batches from an offset on, of one segment: as many as fit into `most` bytes, and at least one. The first one is cut so that
    /// it begins at the offset. Nothing where there is nothing (yet).
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn read(&mut self, offset: i64, most: u64) -> io::Result<Vec<deflated::Batch>> {
        let place = self.segments.partition_point(|segment| segment.base <= offset).checked_sub(1);
        let Some(segment) = place.map(|place| &mut self.segments[place]).filter(|_| offset < self.next) else {
            return Ok(Vec::new());
        };
        let Some((position, first)) = segment.find_offset(offset)? else { return Ok(Vec::new()) };
        let bytes = most.clamp(first.bytes, (segment.length - position).max(first.bytes));
        let mut rest = segment.read(position, bytes)?;
        let mut batches = Vec::new();
        while let Some(header) = Header::parse(&rest).filter(|header| header.bytes <= rest.len() as u64) {
            let whole = rest.split_to(usize::try_from(header.bytes).map_err(io::Error::other)?);
            let batch = deflated::Batch::try_from(whole).map_err(io::Error::other)?;
            batches.push(if header.offset < offset { begin_at(batch, offset)? } else { batch });
        }
        Ok(batches)
    }

    /// The first record at or after a time in milliseconds since 1970: its offset and time.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn at_time(&self, time: i64) -> io::Result<Option<(i64, i64)>> {
        for segment in &self.segments {
            let Some((position, header)) = segment.find(0, |header| header.max_timestamp >= time)? else { continue };
            let batch = deflated::Batch::try_from(segment.read(position, header.bytes)?).map_err(io::Error::other)?;
            let batch = inflated::Batch::try_from(batch).map_err(io::Error::other)?;
            let times = batch.records.iter().map(|record| {
                (batch.base_offset + i64::from(record.offset_delta), batch.base_timestamp + record.timestamp_delta)
            });
            return Ok(times.into_iter().find(|&(_, at)| at >= time));
        }
        Ok(None)
    }

    /// Waits until the disk has what was written.
    ///
    /// # Errors
    /// The disk says that it has not.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(last) = self.segments.last().filter(|_| self.dirty) {
            last.file.sync_data()?;
            self.dirty = false;
        }
        Ok(())
    }
}

impl Producer {
    fn after(header: &Header) -> Producer {
        // Numbers begin anew after the greatest.
        let next_sequence = header.sequence.checked_add(header.last_offset_delta).and_then(|last| last.checked_add(1));
        Producer {
            epoch: header.epoch,
            first_sequence: header.sequence,
            next_sequence: next_sequence.unwrap_or(0),
            offset: header.offset,
        }
    }
}

/// The batch without the records before the offset. Whoever answers a fetch counts records to know where to go on.
fn begin_at(batch: deflated::Batch, offset: i64) -> io::Result<deflated::Batch> {
    let mut batch = inflated::Batch::try_from(batch).map_err(io::Error::other)?;
    let base = batch.base_offset;
    batch.records.retain(|record| base + i64::from(record.offset_delta) >= offset);
    deflated::Batch::try_from(batch).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use tansu_sans_io::record::Record;

    use super::*;

    fn batch(texts: &[&str], time: i64) -> deflated::Batch {
        numbered(texts, time, -1, -1)
    }

    fn numbered(texts: &[&str], time: i64, producer: i64, sequence: i32) -> deflated::Batch {
        let count = i32::try_from(texts.len()).expect("a few");
        let mut builder = inflated::Batch::builder()
            .magic(2)
            .base_timestamp(time)
            .max_timestamp(time)
            .last_offset_delta(count - 1)
            .producer_id(producer)
            .base_sequence(sequence);
        for (delta, text) in texts.iter().enumerate() {
            let value = Bytes::copy_from_slice(text.as_bytes());
            builder =
                builder.record(Record::builder().offset_delta(i32::try_from(delta).expect("a few")).value(Some(value)));
        }
        builder.build().and_then(deflated::Batch::try_from).expect("a batch")
    }

    /// Offsets and texts, as whoever fetches sees them.
    fn records(batches: Vec<deflated::Batch>) -> Vec<(i64, String)> {
        let mut records = Vec::new();
        for batch in batches {
            let batch = inflated::Batch::try_from(batch).expect("records");
            for record in &batch.records {
                let text = String::from_utf8(record.value.clone().unwrap_or_default().to_vec()).expect("text");
                records.push((batch.base_offset + i64::from(record.offset_delta), text));
            }
        }
        records
    }

    fn owned(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
        expected.iter().map(|&(offset, text)| (offset, text.to_owned())).collect()
    }

    #[test]
    fn what_was_appended_is_read_from_any_offset_and_after_opening_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = PartitionLog::open(folder.path()).expect("a log");
        assert_eq!((log.start(), log.end()), (0, 0));
        assert_eq!(log.append(batch(&["a", "b", "c"], 10)).expect("taken"), 0);
        assert_eq!(log.append(batch(&["d"], 20)).expect("taken"), 3);
        for _ in 0..2 {
            assert_eq!(log.end(), 4);
            assert_eq!(records(log.read(1, 1 << 20).expect("read")), owned(&[(1, "b"), (2, "c"), (3, "d")]));
            assert_eq!(records(log.read(3, 1 << 20).expect("read")), owned(&[(3, "d")]));
            assert!(log.read(4, 1 << 20).expect("read").is_empty(), "nothing is there yet");
            assert_eq!(records(log.read(0, 1).expect("read")).len(), 3, "at least one batch, however large");
            assert_eq!(log.at_time(11).expect("read"), Some((3, 20)));
            assert_eq!(log.at_time(21).expect("read"), None);
            log = PartitionLog::open(folder.path()).expect("the log again");
        }
    }

    #[test]
    fn a_fetch_counts_its_records_to_go_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = PartitionLog::open(folder.path()).expect("a log");
        log.append(batch(&["a", "b", "c"], 10)).expect("taken");
        let fetched = log.read(1, 1 << 20).expect("read");
        assert_eq!(fetched.iter().map(|batch| batch.record_count).sum::<u32>(), 2);
    }

    #[test]
    fn half_a_batch_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = PartitionLog::open(folder.path()).expect("a log");
        log.append(batch(&["a"], 10)).expect("taken");
        let whole = log.segments[0].length;
        log.append(batch(&["b"], 10)).expect("taken");
        let path = Segment::path(folder.path(), 0);
        let file = OpenOptions::new().write(true).open(&path).expect("the file");
        for damage in [true, false] {
            if damage {
                file.write_all_at(b"x", whole + 65).expect("written");
            } else {
                file.set_len(whole + 30).expect("cut");
            }
            let mut log = PartitionLog::open(folder.path()).expect("the log again");
            assert_eq!(log.end(), 1);
            assert_eq!(log.append(batch(&["c"], 10)).expect("taken"), 1);
            assert_eq!(records(log.read(0, 1 << 20).expect("read")), owned(&[(0, "a"), (1, "c")]));
        }
    }

    #[test]
    fn a_batch_that_is_sent_again_is_kept_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = PartitionLog::open(folder.path()).expect("a log");
        assert_eq!(log.append(numbered(&["a", "b"], 10, 7, 0)).expect("taken"), 0);
        let mut log = PartitionLog::open(folder.path()).expect("the log again");
        assert_eq!(log.append(numbered(&["a", "b"], 10, 7, 0)).expect("taken"), 0);
        assert_eq!(log.append(numbered(&["c"], 10, 7, 2)).expect("taken"), 2);
        let gap = log.append(numbered(&["e"], 10, 7, 4));
        assert!(matches!(gap, Err(Refused::Code(ErrorCode::OutOfOrderSequenceNumber))), "{gap:?}");
        assert_eq!(log.end(), 3);
    }

    #[test]
    fn what_is_damaged_on_its_way_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = PartitionLog::open(folder.path()).expect("a log");
        let mut damaged = batch(&["a"], 10);
        damaged.crc ^= 1;
        assert!(matches!(log.append(damaged), Err(Refused::Code(ErrorCode::CorruptMessage))));
        assert_eq!(log.end(), 0);
    }
}
