//! The events that a table has of one date: the newest in memory, all others in sorted files on disk.
//!
//! A busy date has more events than memory has room for, and a duplicate may come at any time. So when there are many they are
//! sorted into a file, a *run*; of a run stays in memory where each of its blocks begins. Runs of about one size are merged into
//! a larger one, so that there are only ever a few. One Bloom filter over all events of the date answers nearly every question
//! with a single look at memory: that an event is new. Files have no name: whatever ends this process, the system removes them.
//! Nothing here is the truth: that is the table.

use std::{
    collections::BinaryHeap,
    fs::File,
    hash::BuildHasher as _,
    io::{BufReader, BufWriter, Read, Write},
    os::unix::fs::FileExt as _,
    path::Path,
};

use anyhow::{Context, Result};
use hashbrown::{DefaultHashBuilder, HashSet};

/// Events that are kept in memory before they become a run: 17 bytes each, and as much again while the set grows. So few that
/// they stay in the processor's cache.
const MAX_RECENT: usize = 1 << 17;
/// So many runs of one tier become one of the next.
const FAN_IN: usize = 8;
/// Events of a block: 4096 bytes, a page of the system's cache.
const BLOCK: usize = 256;
const ID: usize = size_of::<u128>();
/// A filter has room for twice as many events when it is full, up to so many; each takes 10 bits. What comes beyond makes it
/// say "perhaps" more often, and each such answer costs a read: memory stays bounded.
const MAX_FILTERED: usize = 1 << 26;

/// The events of one date.
#[derive(Default)]
pub(super) struct Seen {
    recent: HashSet<u128>,
    runs: Vec<Run>,
    /// Of all events, recent ones and those in runs; as long as there are no runs, it is not needed.
    filter: Option<Filter>,
}

impl Seen {
    /// # Errors
    /// When a run cannot be read.
    pub(super) fn contains(&self, id: u128) -> Result<bool> {
        if self.filter.as_ref().is_some_and(|filter| !filter.may_contain(id)) {
            return Ok(false);
        }
        if self.recent.contains(&id) {
            return Ok(true);
        }
        for run in &self.runs {
            if run.contains(id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Remembers an event. `folder` is where runs are kept.
    ///
    /// # Errors
    /// When a run cannot be written.
    pub(super) fn insert(&mut self, id: u128, folder: &Path) -> Result<()> {
        if let Some(filter) = &mut self.filter {
            filter.insert(id);
        }
        self.recent.insert(id);
        if self.recent.len() >= MAX_RECENT { self.spill(folder) } else { Ok(()) }
    }

    /// Events that are kept in memory.
    pub(super) fn in_memory(&self) -> usize {
        self.recent.len()
    }

    pub(super) fn has_runs(&self) -> bool {
        !self.runs.is_empty()
    }

    fn spill(&mut self, folder: &Path) -> Result<()> {
        let mut ids: Vec<u128> = self.recent.drain().collect();
        ids.sort_unstable();
        let mut writer = RunWriter::new(folder, ids.len(), 0)?;
        for id in ids {
            writer.push(id)?;
        }
        self.runs.push(writer.finish()?);
        while let Some(tier) = self.full_tier() {
            let merged: Vec<Run> = self.runs.extract_if(.., |run| run.tier == tier).collect();
            self.runs.push(merge(&merged, folder, tier + 1)?);
        }
        let count = self.runs.iter().map(|run| run.count).sum::<usize>() + MAX_RECENT;
        if self.filter.as_ref().is_none_or(|filter| filter.room < count.min(MAX_FILTERED)) {
            self.filter = Some(self.filter_for((2 * count).min(MAX_FILTERED))?);
        }
        Ok(())
    }

    /// A filter with room for so many, of the events in the runs.
    fn filter_for(&self, room: usize) -> Result<Filter> {
        let mut filter = Filter::new(room);
        for run in &self.runs {
            let mut reader = run.reader()?;
            while let Some(id) = read_id(&mut reader)? {
                filter.insert(id);
            }
        }
        Ok(filter)
    }

    fn full_tier(&self) -> Option<u32> {
        let of_tier = |tier| self.runs.iter().filter(|run| run.tier == tier).count();
        self.runs.iter().map(|run| run.tier).find(|&tier| of_tier(tier) >= FAN_IN)
    }
}

/// Sorted events in a file.
struct Run {
    ids: File,
    count: usize,
    /// The first event of each block.
    blocks: Vec<u128>,
    /// How often its events have been merged.
    tier: u32,
}

impl Run {
    fn contains(&self, id: u128) -> Result<bool> {
        let Some(block) = self.blocks.partition_point(|&first| first <= id).checked_sub(1) else { return Ok(false) };
        let rows = BLOCK.min(self.count - block * BLOCK);
        let mut bytes = [0; BLOCK * ID];
        let bytes = &mut bytes[..rows * ID];
        self.ids.read_exact_at(bytes, (block * BLOCK * ID) as u64).context("a file of known events cannot be read")?;
        let (ids, _) = bytes.as_chunks::<ID>();
        Ok(ids.binary_search_by(|bytes| u128::from_be_bytes(*bytes).cmp(&id)).is_ok())
    }

    /// Its events from the first on, and how many are left.
    fn reader(&self) -> Result<(BufReader<File>, usize)> {
        let mut ids = self.ids.try_clone()?;
        std::io::Seek::rewind(&mut ids)?;
        Ok((BufReader::with_capacity(1 << 18, ids), self.count))
    }
}

fn merge(runs: &[Run], folder: &Path, tier: u32) -> Result<Run> {
    let mut readers = Vec::new();
    let mut next = BinaryHeap::new();
    for run in runs {
        let mut reader = run.reader()?;
        if let Some(id) = read_id(&mut reader)? {
            next.push((std::cmp::Reverse(id), readers.len()));
        }
        readers.push(reader);
    }
    let mut writer = RunWriter::new(folder, runs.iter().map(|run| run.count).sum(), tier)?;
    while let Some((std::cmp::Reverse(id), from)) = next.pop() {
        writer.push(id)?;
        if let Some(id) = read_id(&mut readers[from])? {
            next.push((std::cmp::Reverse(id), from));
        }
    }
    writer.finish()
}

fn read_id((reader, left): &mut (BufReader<File>, usize)) -> Result<Option<u128>> {
    let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
    *left = fewer;
    let mut bytes = [0; ID];
    reader.read_exact(&mut bytes).context("a file of known events cannot be read")?;
    Ok(Some(u128::from_be_bytes(bytes)))
}

struct RunWriter {
    ids: BufWriter<File>,
    run: Run,
}

impl RunWriter {
    fn new(folder: &Path, count: usize, tier: u32) -> Result<RunWriter> {
        std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let ids = tempfile::tempfile_in(folder)
            .with_context(|| format!("no file for known events can be made in {}", folder.display()))?;
        let run = Run { ids: ids.try_clone()?, count: 0, blocks: Vec::with_capacity(count.div_ceil(BLOCK)), tier };
        Ok(RunWriter { ids: BufWriter::with_capacity(1 << 18, ids), run })
    }

    /// In ascending order.
    fn push(&mut self, id: u128) -> Result<()> {
        if self.run.count.is_multiple_of(BLOCK) {
            self.run.blocks.push(id);
        }
        self.run.count += 1;
        self.ids.write_all(&id.to_be_bytes()).context("known events cannot be written to disk")
    }

    fn finish(mut self) -> Result<Run> {
        self.ids.flush().context("known events cannot be written to disk")?;
        Ok(self.run)
    }
}

/// A Bloom filter whose bits for one event lie in one line of the processor's cache (Putze, Sanders, Singler: "Cache-, Hash- and
/// Space-Efficient Bloom Filters", 2007): ten bits an event; when it is full, about one in fifty is taken for known.
struct Filter {
    /// Events that it is made for.
    room: usize,
    lines: Vec<[u64; 8]>,
    hasher: DefaultHashBuilder,
}

impl Filter {
    fn new(room: usize) -> Filter {
        let lines = vec![[0; 8]; (room * 10).div_ceil(512).max(1)];
        Filter { room, lines, hasher: DefaultHashBuilder::default() }
    }

    /// The line, and six of its 512 bits.
    fn bits(&self, id: u128) -> (usize, impl Iterator<Item = (usize, u64)> + use<>) {
        let hash = self.hasher.hash_one(id);
        let lines = self.lines.len() as u128;
        let line = usize::try_from((u128::from(hash) * lines) >> 64).unwrap_or(0);
        let bits = self.hasher.hash_one(hash);
        let bits = (0..6).map(move |number| (bits >> (number * 9)) & 511);
        (line, bits.map(|bit| ((bit >> 6) as usize, 1 << (bit & 63))))
    }

    fn insert(&mut self, id: u128) {
        let (line, bits) = self.bits(id);
        for (word, bit) in bits {
            self.lines[line][word] |= bit;
        }
    }

    fn may_contain(&self, id: u128) -> bool {
        let (line, mut bits) = self.bits(id);
        bits.all(|(word, bit)| self.lines[line][word] & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn what_was_seen_is_known_whether_in_memory_or_on_disk() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let mut random = StdRng::seed_from_u64(1);
        let mut seen = Seen::default();
        let ids: Vec<u128> = (0..20_000).map(|_| random.random()).collect();
        for (number, &id) in ids.iter().enumerate() {
            seen.insert(id, folder.path()).expect("room");
            // Nine spills: eight are merged, and one is left.
            if number % 2_000 == 1_999 && number < 18_000 {
                seen.spill(folder.path()).expect("a disk");
            }
        }
        assert_eq!(seen.runs.iter().map(|run| (run.tier, run.count)).collect::<Vec<_>>(), [(1, 16_000), (0, 2_000)]);
        assert_eq!(seen.in_memory(), 2_000);
        assert!(ids.iter().all(|&id| seen.contains(id).expect("a disk")));
        let known = (0..100_000).filter(|_| seen.contains(random.random()).expect("a disk")).count();
        assert_eq!(known, 0, "others are not");
        // What came after the filter was made is in it as well; full, it still spares nearly all looks.
        let mut filter = seen.filter_for(18_000).expect("a disk");
        ids[18_000..].iter().for_each(|&id| filter.insert(id));
        let taken = (0..100_000).filter(|_| filter.may_contain(random.random())).count();
        assert!((1..3_000).contains(&taken), "{taken} of 100000 would be looked up on disk");
        // Without a filter the blocks alone say it.
        seen.filter = None;
        assert!(ids.iter().all(|&id| seen.contains(id).expect("a disk")));
        assert!(!seen.contains(0).expect("a disk") && !seen.contains(u128::MAX).expect("a disk"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "files have no names");
    }
}
