//! Time zones: where local days, weeks and months begin.
//!
//! The tables know quarters of an hour of UTC and nothing finer. A zone is answered exactly or not at all: where its clocks
//! were not whole quarters away from UTC (Liberia's until 1972), a bucket of the tables would lie in two of its days.

use chrono::{
    DateTime, Datelike, Days, DurationRound, FixedOffset, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime,
    Offset, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;
use model::{
    query::MAX_ROWS,
    range::{GRAIN, Granularity, Interval},
};

use crate::warehouse::Offsets;

/// A bucket begins at most this long before the interval that touches it.
const LONGEST_BUCKET: TimeDelta = TimeDelta::days(32);
const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

/// A time zone of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    pub const UTC: Zone = Zone(Tz::UTC);

    /// # Errors
    /// A sentence for the person who wrote the name.
    pub fn named(name: &str) -> Result<Zone, String> {
        let shown: String = name.chars().take(40).collect();
        name.parse().map(Zone).map_err(|_| {
            format!(
                "`{shown}` is not a time zone of the IANA database, such as UTC, Europe/Berlin or America/New_York."
            )
        })
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The moment as local clocks show it.
    pub fn show(self, moment: DateTime<Utc>) -> DateTime<FixedOffset> {
        moment.with_timezone(&self.0).fixed_offset()
    }

    /// The first moment of a local day: midnight, or when clocks skip that, what they show instead.
    pub fn start_of(self, day: NaiveDate) -> DateTime<Utc> {
        self.moment(day.and_time(NaiveTime::MIN))
    }

    fn moment(self, local: NaiveDateTime) -> DateTime<Utc> {
        // No clock skips a whole day and more but where a zone changed its side of the date line.
        let later = (0..=48).map(|half_hours| local + TimeDelta::minutes(30 * half_hours));
        let found = later.filter_map(|local| match self.0.from_local_datetime(&local) {
            LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => Some(moment.to_utc()),
            LocalResult::None => None,
        });
        found.into_iter().next().unwrap_or_else(|| local.and_utc())
    }

    /// What the zone means to the tables over the interval.
    ///
    /// # Errors
    /// A sentence: within the interval clocks are not whole quarters of an hour away from UTC.
    pub fn offsets(self, interval: Interval) -> Result<Offsets, String> {
        let seconds = |at: i64| {
            let moment = DateTime::from_timestamp(at, 0).unwrap_or_default().naive_utc();
            i64::from(self.0.offset_from_utc_datetime(&moment).fix().local_minus_utc())
        };
        let refused = || {
            format!(
                "In the time zone {} clocks were not whole quarters of an hour away from UTC then. The tables hold quarters of \
                 an hour of UTC, which lay in two of its days: ask in UTC, or by the hour.",
                self.name()
            )
        };
        let grain = GRAIN.num_seconds();
        let minutes = |offset: i64| match (offset % grain, i32::try_from(offset / MINUTE)) {
            (0, Ok(minutes)) => Ok(minutes),
            _ => Err(refused()),
        };
        let (from, to) = ((interval.from - LONGEST_BUCKET).timestamp(), interval.to.timestamp());
        let first = seconds(from);
        let (mut last, mut changes) = (first, Vec::new());
        let mut day = from;
        while day < to {
            let next = (day + DAY).min(to);
            // Clocks change at most once a day.
            if seconds(next) != last {
                let (mut before, mut after) = (day, next);
                while after - before > 1 {
                    let middle = before + (after - before) / 2;
                    if seconds(middle) == last { before = middle } else { after = middle }
                }
                last = seconds(after);
                if after % grain != 0 {
                    return Err(refused());
                }
                changes.push((after * 1_000_000, minutes(last)?));
            }
            day = next;
        }
        Ok(Offsets::new(minutes(first)?, changes))
    }

    /// The starts of all buckets that the interval touches, as the warehouse names them; no more than an answer may have rows
    /// and one.
    pub fn buckets(self, interval: Interval, granularity: Granularity) -> Vec<DateTime<Utc>> {
        let mut buckets = Vec::new();
        if granularity == Granularity::Hour {
            let hour = TimeDelta::hours(1);
            let mut start = interval.from.duration_trunc(hour).unwrap_or(interval.from);
            while start < interval.to && buckets.len() <= MAX_ROWS {
                buckets.push(start);
                start += hour;
            }
            return buckets;
        }
        let day = self.show(interval.from).date_naive();
        let mut day = match granularity {
            Granularity::Hour | Granularity::Day => day,
            Granularity::Week => day - Days::new(u64::from(day.weekday().num_days_from_monday())),
            Granularity::Month => day - Days::new(u64::from(day.day0())),
        };
        loop {
            let start = self.start_of(day);
            if start >= interval.to || buckets.len() > MAX_ROWS {
                return buckets;
            }
            buckets.push(start);
            day = match granularity {
                Granularity::Hour | Granularity::Day => day + Days::new(1),
                Granularity::Week => day + Days::new(7),
                Granularity::Month => day + Months::new(1),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(from: &str, to: &str) -> Interval {
        let at = |text: &str| text.parse().expect("a time");
        Interval { from: at(from), to: at(to) }
    }

    #[test]
    fn buckets_begin_before_the_interval_and_end_within() {
        let starts = |granularity| {
            let buckets = Zone::UTC.buckets(interval("2025-01-30T05:00:00Z", "2025-02-02T01:00:00Z"), granularity);
            (buckets.len(), buckets[0].to_rfc3339(), buckets[buckets.len() - 1].to_rfc3339())
        };
        let text = |text: &str| text.to_owned();
        assert_eq!(
            starts(Granularity::Hour),
            (68, text("2025-01-30T05:00:00+00:00"), text("2025-02-02T00:00:00+00:00"))
        );
        assert_eq!(starts(Granularity::Day), (4, text("2025-01-30T00:00:00+00:00"), text("2025-02-02T00:00:00+00:00")));
        assert_eq!(
            starts(Granularity::Week),
            (1, text("2025-01-27T00:00:00+00:00"), text("2025-01-27T00:00:00+00:00"))
        );
        assert_eq!(
            starts(Granularity::Month),
            (2, text("2025-01-01T00:00:00+00:00"), text("2025-02-01T00:00:00+00:00"))
        );
    }

    #[test]
    fn a_zone_is_whole_quarters_of_an_hour_or_refused() {
        let year = interval("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
        let offsets = |name: &str, interval| Zone::named(name).expect("a zone").offsets(interval);
        assert_eq!(offsets("UTC", year), Ok(Offsets::utc()));
        assert_eq!(offsets("Etc/GMT+5", year), Ok(Offsets::new(-300, [])));
        let micros = |text: &str| text.parse::<DateTime<Utc>>().expect("a time").timestamp_micros();
        let (spring, autumn) = (micros("2025-03-30T01:00:00Z"), micros("2025-10-26T01:00:00Z"));
        assert_eq!(offsets("Europe/Berlin", year), Ok(Offsets::new(60, [(spring, 120), (autumn, 60)])));
        assert_eq!(offsets("Asia/Kathmandu", year), Ok(Offsets::new(345, [])));
        let (autumn, spring) = (micros("2025-04-05T15:00:00Z"), micros("2025-10-04T15:30:00Z"));
        assert_eq!(offsets("Australia/Lord_Howe", year), Ok(Offsets::new(660, [(autumn, 630), (spring, 660)])));
        let before = interval("1970-01-01T00:00:00Z", "1971-01-01T00:00:00Z");
        assert!(offsets("Africa/Monrovia", before).expect_err("44 minutes and a half").contains("whole quarters"));
        assert!(Zone::named("Mars/Olympus").expect_err("no zone").contains("IANA"));
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_begins_when_clocks_go_on() {
        // Cairo's clocks went from 00:00 to 01:00 on 28 April 2023.
        let cairo = Zone::named("Africa/Cairo").expect("a zone");
        let day = "2023-04-28".parse().expect("a date");
        let start = cairo.start_of(day);
        assert_eq!(cairo.show(start).to_rfc3339(), "2023-04-28T01:00:00+03:00");
        let around = interval("2023-04-27T22:00:00Z", "2023-04-28T05:00:00Z");
        assert_eq!(cairo.buckets(around, Granularity::Day), [start]);
    }
}
