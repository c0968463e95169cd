//! How far local time is from UTC, in minutes: what a time zone means to the tables.

use std::fmt::Write;

use model::metric::BUCKET;

const MINUTE_MICROS: i64 = 60_000_000;

/// From which moment on (microseconds since 1970) how many minutes are added to UTC. The first counts for all time before, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Offsets(Vec<(i64, i32)>);

impl Offsets {
    pub fn utc() -> Offsets {
        Offsets(vec![(i64::MIN, 0)])
    }

    /// The first offset, and each change of it in the order of time: when (microseconds since 1970), and to how many minutes.
    pub fn new(first: i32, changes: impl IntoIterator<Item = (i64, i32)>) -> Offsets {
        Offsets([(i64::MIN, first)].into_iter().chain(changes).collect())
    }

    /// Local time as SQL over the column of buckets. Nothing but numbers goes into it.
    pub(super) fn local(&self) -> String {
        let minutes = |minutes: i32| format!("INTERVAL '{minutes} minutes'");
        match self.0.as_slice() {
            [(_, 0)] => BUCKET.to_owned(),
            [(_, only)] => format!("{BUCKET} + {}", minutes(*only)),
            several => {
                let mut sql = format!("{BUCKET} + CASE");
                for pair in several.windows(2) {
                    let (until, offset) = (pair[1].0, minutes(pair[0].1));
                    write!(sql, " WHEN {BUCKET} < to_timestamp_micros({until}) THEN {offset}")
                        .expect("writing to a string succeeds");
                }
                let last = several.last().map_or(0, |(_, offset)| *offset);
                format!("{sql} ELSE {} END", minutes(last))
            }
        }
    }

    /// The first moment at which local clocks show this time, or a later one where they skip it; both in microseconds.
    pub(super) fn instant(&self, local: i64) -> i64 {
        for (place, (from, offset)) in self.0.iter().enumerate() {
            let moment = local - i64::from(*offset) * MINUTE_MICROS;
            let end = self.0.get(place + 1).map_or(i64::MAX, |(next, _)| *next);
            if moment < end {
                return moment.max(*from);
            }
        }
        local
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_numbers_in_sql() {
        assert_eq!(Offsets::utc().local(), "bucket");
        assert_eq!(Offsets::new(-300, []).local(), "bucket + INTERVAL '-300 minutes'");
        assert_eq!(
            Offsets::new(60, [(10, 120), (20, 60)]).local(),
            "bucket + CASE WHEN bucket < to_timestamp_micros(10) THEN INTERVAL '60 minutes' \
             WHEN bucket < to_timestamp_micros(20) THEN INTERVAL '120 minutes' ELSE INTERVAL '60 minutes' END"
        );
    }

    #[test]
    fn a_local_time_is_the_first_moment_that_shows_it() {
        let hours = |count: i64| count * 60 * MINUTE_MICROS;
        // At 10:00 UTC clocks go from 11:00 to 12:00, at 20:00 UTC from 22:00 back to 21:00.
        let zone = Offsets::new(60, [(hours(10), 120), (hours(20), 60)]);
        assert_eq!(zone.instant(hours(5)), hours(4));
        assert_eq!(zone.instant(hours(11)), hours(10), "skipped: the moment of the change");
        assert_eq!(zone.instant(hours(12)), hours(10));
        assert_eq!(zone.instant(hours(21)), hours(19), "shown twice: the first");
        assert_eq!(zone.instant(hours(22)), hours(21));
    }
}
