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
    /// Remembers an event; whether it is new. `folder` is where runs are kept.
    ///
    /// # Errors
    /// When a run cannot be read or written.
    pub(super) fn insert(&mut self, id: u128, folder: &Path) -> Result<bool> {
        let surely_new = self.filter.as_mut().is_some_and(|filter| filter.insert(id));
        if !surely_new && self.in_runs(id)? {
            return Ok(false);
        }
        let new = self.recent.insert(id);
        if self.recent.len() >= MAX_RECENT {
            self.spill(folder)?;
        }
        Ok(new)
    }

    fn in_runs(&self, id: u128) -> Result<bool> {
        for run in &self.runs {
            if run.contains(id)? {
                return Ok(true);
            }
        }
        Ok(false)
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

/// A Bloom filter whose bits for one event lie in one line of the processor's cache, one in each of its words (Putze, Sanders,
/// Singler: "Cache-, Hash- and Space-Efficient Bloom Filters", 2007; as the split blocks of Parquet's filters): ten bits an event;
/// when it is full, about one in a hundred is taken for known.
struct Filter {
    /// Events that it is made for.
    room: usize,
    lines: Vec<[u64; WORDS]>,
    hasher: DefaultHashBuilder,
}

/// Words of a line.
const WORDS: usize = 8;

impl Filter {
    fn new(room: usize) -> Filter {
        let lines = vec![[0; WORDS]; (room * 10).div_ceil(512).max(1)];
        Filter { room, lines, hasher: DefaultHashBuilder::default() }
    }

    /// Remembers an event; whether it surely was not there. Without branches: the processor then fetches the lines of several
    /// events at a time.
    fn insert(&mut self, id: u128) -> bool {
        let hash = self.hasher.hash_one(id);
        let line = (u128::from(hash) * self.lines.len() as u128) >> 64;
        let line = &mut self.lines[usize::try_from(line).unwrap_or(0)];
        let bits = self.hasher.hash_one(hash);
        let mut missing = 0;
        for (number, word) in line.iter_mut().enumerate() {
            let bit = 1 << ((bits >> (6 * number)) & 63);
            missing |= bit & !*word;
            *word |= bit;
        }
        missing != 0
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
            assert!(seen.insert(id, folder.path()).expect("room"));
            // Nine spills: eight are merged, and one is left.
            if number % 2_000 == 1_999 && number < 18_000 {
                seen.spill(folder.path()).expect("a disk");
            }
        }
        assert_eq!(seen.runs.iter().map(|run| (run.tier, run.count)).collect::<Vec<_>>(), [(1, 16_000), (0, 2_000)]);
        assert_eq!(seen.in_memory(), 2_000);
        assert!(seen.filter.is_some());
        let mut is_new = |id| seen.insert(id, folder.path()).expect("a disk");
        assert!(!ids.iter().any(|&id| is_new(id)), "none is new");
        assert!((0..1_000).all(|_| is_new(random.random())), "others are");
        // A full filter knows what is in it, and spares nearly all looks at others. (It is as it was: 18,000 in runs.)
        let full = || seen.filter_for(18_000).expect("a disk");
        let mut filter = full();
        assert!(!ids[..18_000].iter().any(|&id| filter.insert(id)));
        let mut looked_up = 0;
        for _ in 0..20 {
            let mut filter = full();
            looked_up += (0..500).filter(|_| !filter.insert(random.random())).count();
        }
        assert!((1..300).contains(&looked_up), "{looked_up} of 10000 would be looked up on disk");
        // Without a filter the blocks alone say it.
        seen.filter = None;
        assert!(!ids.iter().any(|&id| seen.insert(id, folder.path()).expect("a disk")));
        assert!([0, u128::MAX].iter().all(|&id| seen.insert(id, folder.path()).expect("a disk")));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "files have no names");
    }
}
