//! The time range of a view, as it stands in its URL: `?range=30d`, or `?from=2025-11-01&to=2025-11-30`.

use chrono::{DateTime, Days, Duration, DurationRound, Months, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How fine Gold's tables are. Since 1972 clocks everywhere are whole quarters of an hour away from UTC, so that a bucket lies
/// in one day, week and month of every time zone.
pub const GRAIN: TimeDelta = TimeDelta::minutes(15);

/// Ranges that are one click away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preset {
    #[serde(rename = "24h")]
    Day,
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "30d")]
    Month,
    #[serde(rename = "90d")]
    Quarter,
    #[serde(rename = "1y")]
    Year,
}

impl Preset {
    pub const ALL: [Preset; 5] = [Preset::Day, Preset::Week, Preset::Month, Preset::Quarter, Preset::Year];

    pub fn name(self) -> &'static str {
        match self {
            Preset::Day => "24h",
            Preset::Week => "7d",
            Preset::Month => "30d",
            Preset::Quarter => "90d",
            Preset::Year => "1y",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Preset::Day => "24 hours",
            Preset::Week => "7 days",
            Preset::Month => "30 days",
            Preset::Quarter => "90 days",
            Preset::Year => "1 year",
        }
    }

    fn hours(self) -> i64 {
        24 * match self {
            Preset::Day => 1,
            Preset::Week => 7,
            Preset::Month => 30,
            Preset::Quarter => 90,
            // Leap years fit in, so that a year of data is never one day short.
            Preset::Year => 366,
        }
    }
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    Last(Preset),
    /// Whole days in UTC, the last one included.
    Days {
        from: NaiveDate,
        to: NaiveDate,
    },
}

impl Default for Range {
    fn default() -> Range {
        Range::Last(Preset::Year)
    }
}

/// A range, or the reason why the text in the URL is none.
pub type Parsed = Result<Range, String>;

impl Range {
    /// The longest custom range, in days.
    pub const MAX_DAYS: i64 = 3660;

    /// Reads the parameters of a URL. No parameter at all is the default range.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub fn parse(range: Option<&str>, from: Option<&str>, to: Option<&str>) -> Parsed {
        let filled = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        match (filled(range), filled(from), filled(to)) {
            (_, Some(from), Some(to)) => {
                let day = |text: &str| {
                    text.parse::<NaiveDate>().map_err(|_| format!("`{text}` is not a date such as 2025-11-16."))
                };
                let (from, to) = (day(&from)?, day(&to)?);
                if from > to {
                    return Err(format!("The range begins on {from}, after its end on {to}."));
                }
                if (to - from).num_days() >= Range::MAX_DAYS {
                    return Err(format!("The range is longer than {} days.", Range::MAX_DAYS));
                }
                Ok(Range::Days { from, to })
            }
            (_, Some(_), None) | (_, None, Some(_)) => {
                Err("A custom range needs both a first and a last day.".to_owned())
            }
            (Some(name), None, None) => {
                Preset::ALL.into_iter().find(|preset| preset.name() == name).map(Range::Last).ok_or_else(|| {
                    let known: Vec<_> = Preset::ALL.into_iter().map(Preset::name).collect();
                    format!("`{name}` is not a range; there are {}.", known.join(", "))
                })
            }
            (None, None, None) => Ok(Range::default()),
        }
    }

    /// The same as URL parameters, without the question mark.
    pub fn to_query(self) -> String {
        match self {
            Range::Last(preset) => format!("range={}", preset.name()),
            Range::Days { from, to } => format!("from={from}&to={to}"),
        }
    }

    /// The interval it means at the moment `now`. A preset ends with the current hour, which is still filling.
    pub fn interval(self, now: DateTime<Utc>) -> Interval {
        match self {
            Range::Last(preset) => {
                let this_hour = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
                let to = this_hour + Duration::hours(1);
                Interval { from: to - Duration::hours(preset.hours()), to }
            }
            Range::Days { from, to } => {
                let midnight = |day: NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc();
                Interval { from: midnight(from), to: midnight(to.checked_add_days(Days::new(1)).unwrap_or(to)) }
            }
        }
    }
}

/// A span of time: from included, to excluded, both whole quarters of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Interval {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Interval {
    pub fn length(self) -> Duration {
        self.to - self.from
    }

    /// The interval of the same length just before.
    pub fn previous(self) -> Interval {
        Interval { from: self.from - self.length(), to: self.from }
    }

    /// The width of a bucket at which a chart of this interval is still readable.
    pub fn granularity(self) -> Granularity {
        match self.length().num_days() {
            ..=3 => Granularity::Hour,
            4..=120 => Granularity::Day,
            121..=800 => Granularity::Week,
            _ => Granularity::Month,
        }
    }
}

/// The width of a time bucket. Weeks begin on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Granularity {
    Hour,
    Day,
    Week,
    Month,
}

impl Granularity {
    pub fn name(self) -> &'static str {
        match self {
            Granularity::Hour => "hour",
            Granularity::Day => "day",
            Granularity::Week => "week",
            Granularity::Month => "month",
        }
    }

    /// When the bucket that begins then ends; `None` beyond the end of time.
    pub fn end(self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Granularity::Hour => start.checked_add_signed(TimeDelta::hours(1)),
            Granularity::Day => start.checked_add_days(Days::new(1)),
            Granularity::Week => start.checked_add_days(Days::new(7)),
            Granularity::Month => start.checked_add_months(Months::new(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_survives_its_url() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a date");
        let custom = Range::Days { from: day("2025-01-01"), to: day("2025-01-31") };
        assert_eq!(Range::parse(None, Some("2025-01-01"), Some("2025-01-31")), Ok(custom));
        assert_eq!(custom.to_query(), "from=2025-01-01&to=2025-01-31");
        for preset in Preset::ALL {
            assert_eq!(Range::parse(Some(preset.name()), None, None), Ok(Range::Last(preset)));
        }
        assert_eq!(Range::parse(None, Some(""), Some("")), Ok(Range::default()));
    }

    #[test]
    fn nonsense_is_explained() {
        for (range, from, to) in [
            (Some("1w"), None, None),
            (None, Some("yesterday"), Some("2025-01-01")),
            (None, Some("2025-01-02"), Some("2025-01-01")),
            (None, Some("2025-01-02"), None),
            (None, Some("0001-01-01"), Some("9999-01-01")),
        ] {
            assert!(Range::parse(range, from, to).is_err(), "{range:?} {from:?} {to:?}");
        }
    }

    #[test]
    fn a_preset_ends_with_the_current_hour_and_follows_its_predecessor() {
        let now = "2025-11-16T10:59:59Z".parse().expect("a time");
        let interval = Range::Last(Preset::Day).interval(now);
        assert_eq!(interval.to.to_rfc3339(), "2025-11-16T11:00:00+00:00");
        assert_eq!(interval.length().num_hours(), 24);
        assert_eq!(interval.previous().to, interval.from);
        assert_eq!(interval.granularity(), Granularity::Hour);
    }
}
