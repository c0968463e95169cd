//! What a caller of `historical` asks for, read from the parameters.

use std::fmt::Debug;

use chrono::{DateTime, Datelike, Days, DurationRound, NaiveDate, TimeDelta, Utc};
use model::{
    metric::{self, Dimension, METRICS, Metric},
    query::{Filter, MAX_FILTER_VALUES, MAX_ROWS},
    range::{GRAIN, Granularity, Interval, Range},
};

use super::cursor::Cursor;
use crate::{parameters::Parameters, problem::Problem, zone::Zone};

const ONCE: [&str; 11] =
    ["metric", "days", "from", "to", "granularity", "group_by", "compare", "timezone", "as_of", "limit", "cursor"];
pub(super) const OFTEN: [&str; 1] = ["filter"];
/// Days that are asked for where nothing is said.
const DAYS: i64 = 30;
/// Rows of a page where nothing is said.
const LIMIT: usize = 1_000;
/// The longest value of a filter, in bytes.
const LONGEST_VALUE: usize = 256;
/// Years that can be asked for.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2199;

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) metrics: Vec<&'static Metric>,
    pub(super) interval: Interval,
    /// `None`: the interval as a whole.
    pub(super) granularity: Option<Granularity>,
    pub(super) group_by: Option<Dimension>,
    pub(super) filters: Vec<Filter>,
    pub(super) compare: bool,
    pub(super) zone: Zone,
    /// The time as of which the numbers are asked for; `None`: now.
    pub(super) as_of: Option<DateTime<Utc>>,
    /// Rows of a page.
    pub(super) limit: usize,
    /// Rows before this page.
    pub(super) offset: usize,
}

impl Asked {
    /// # Errors
    /// What cannot be understood, and what could be.
    pub(super) fn read(query: Option<&str>, now: DateTime<Utc>) -> Result<Asked, Problem> {
        let given = Parameters::read(query, &ONCE, &OFTEN)?;
        let zone = zone(&given)?;
        let as_of = given.get("as_of").map(|text| as_of(text, zone, now)).transpose()?;
        let interval = interval(&given, zone, as_of.unwrap_or(now))?;
        let group_by = given.get("group_by").map(dimension).transpose()?;
        let asked = Asked {
            metrics: metrics(given.get("metric"))?,
            interval,
            granularity: granularity(given.get("granularity"), interval, group_by)?,
            group_by,
            filters: filters(given.all("filter"))?,
            compare: match given.get("compare") {
                None => false,
                Some("previous") => true,
                Some(other) => return Err(Problem::unknown("comparison", other, ["previous"])),
            },
            zone,
            as_of,
            limit: given.get("limit").map_or(Ok(LIMIT), |text| number("limit", text, MAX_ROWS))?,
            offset: 0,
        };
        match given.get("cursor") {
            Some(text) => asked.continued(text),
            None => Ok(asked),
        }
    }

    /// The next page of the same question.
    fn continued(self, cursor: &str) -> Result<Asked, Problem> {
        let refused = || {
            Problem::bad_request(
                "This cursor does not belong to this question. Send `next` of the page before, with the same parameters.",
            )
        };
        let cursor = Cursor::read(cursor).ok_or_else(refused)?;
        let asked = Asked { interval: bounded(cursor.interval)?, offset: cursor.offset, ..self };
        if cursor.is_of(&asked.question()) { Ok(asked) } else { Err(refused()) }
    }

    /// Everything but the interval and the page, for [`Cursor`].
    fn question(&self) -> String {
        let metrics: Vec<_> = self.metrics.iter().map(|metric| metric.name).collect();
        let asked: [&dyn Debug; 7] =
            [&metrics, &self.granularity, &self.group_by, &self.filters, &self.compare, &self.zone.name(), &self.as_of];
        format!("{asked:?}")
    }

    /// Where the page after this one begins.
    pub(super) fn next(&self) -> String {
        Cursor::new(self.interval, self.offset + self.limit, &self.question()).write()
    }
}

/// The time zone that is asked for, or UTC.
pub(super) fn zone(given: &Parameters) -> Result<Zone, Problem> {
    given.get("timezone").map_or(Ok(Zone::UTC), |name| Zone::named(name).map_err(Problem::bad_request))
}

/// A moment that has passed; a day is meant with all that came in on it.
fn as_of(text: &str, zone: Zone, now: DateTime<Utc>) -> Result<DateTime<Utc>, Problem> {
    let moment = match End::read("as_of", text)? {
        End::Moment(moment) => moment,
        End::Day(day) => zone.start_of(day + Days::new(1)) - TimeDelta::microseconds(1),
    };
    if moment > now {
        return Err(Problem::bad_request(
            "`as_of` lies ahead: the numbers are not known yet. Leave it out for those of now.",
        ));
    }
    Ok(moment)
}

fn metrics(names: Option<&str>) -> Result<Vec<&'static Metric>, Problem> {
    let all = || METRICS.iter().map(|metric| metric.name);
    let Some(names) = names else {
        let names: Vec<_> = all().collect();
        return Err(Problem::bad_request(format!(
            "The parameter `metric` is missing: one or several, with commas between, of {}.",
            names.join(", ")
        )));
    };
    let mut metrics: Vec<&'static Metric> = Vec::new();
    for name in names.split(',').map(str::trim) {
        let metric = metric::find(name).ok_or_else(|| Problem::unknown("metric", name, all()))?;
        if metrics.contains(&metric) {
            return Err(Problem::bad_request(format!("The metric `{name}` comes more than once.")));
        }
        metrics.push(metric);
    }
    Ok(metrics)
}

fn dimension(name: &str) -> Result<Dimension, Problem> {
    let all = Dimension::ALL.into_iter().map(Dimension::name);
    Dimension::from_name(name).ok_or_else(|| Problem::unknown("dimension", name, all))
}

fn granularity(
    name: Option<&str>,
    interval: Interval,
    group_by: Option<Dimension>,
) -> Result<Option<Granularity>, Problem> {
    let all = [Granularity::Hour, Granularity::Day, Granularity::Week, Granularity::Month];
    match name {
        // Who splits by something wants to see that first.
        None if group_by.is_some() => Ok(None),
        None | Some("auto") => Ok(Some(interval.granularity())),
        Some("none") => Ok(None),
        Some(name) => all.into_iter().find(|granularity| granularity.name() == name).map(Some).ok_or_else(|| {
            Problem::unknown("granularity", name, all.map(Granularity::name).into_iter().chain(["auto", "none"]))
        }),
    }
}

/// `dimension:value`; several of one dimension are alternatives.
fn filters<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<Filter>, Problem> {
    let mut filters: Vec<Filter> = Vec::new();
    for text in texts {
        let Some((name, value)) = text.split_once(':') else {
            return Err(Problem::bad_request("A filter is a dimension, a colon and a value, such as `store:367`."));
        };
        if value.len() > LONGEST_VALUE {
            return Err(Problem::bad_request(format!("The value of a filter has at most {LONGEST_VALUE} bytes.")));
        }
        let dimension = dimension(name)?;
        match filters.iter_mut().find(|filter| filter.dimension == dimension) {
            Some(filter) if filter.values.len() == MAX_FILTER_VALUES => {
                return Err(Problem::bad_request(format!(
                    "A dimension is filtered by at most {MAX_FILTER_VALUES} values."
                )));
            }
            Some(filter) => filter.values.push(value.to_owned()),
            None => filters.push(Filter { dimension, values: vec![value.to_owned()] }),
        }
    }
    Ok(filters)
}

/// A number from one to the greatest that is allowed.
fn number<T: std::str::FromStr + PartialOrd + From<u8> + std::fmt::Display + Copy>(
    name: &str,
    text: &str,
    greatest: T,
) -> Result<T, Problem> {
    let read = text.parse().ok().filter(|number| *number >= T::from(1) && *number <= greatest);
    read.ok_or_else(|| Problem::bad_request(format!("The parameter `{name}` is a whole number from 1 to {greatest}.")))
}

fn interval(given: &Parameters, zone: Zone, now: DateTime<Utc>) -> Result<Interval, Problem> {
    match (given.get("days"), given.get("from"), given.get("to")) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            Err(Problem::bad_request("Ask by `days`, or by `from` and `to`, not by both."))
        }
        (None, None, Some(_)) => Err(Problem::bad_request("`to` needs a `from` as well.")),
        (Some(days), None, None) => Ok(last(number("days", days, Range::MAX_DAYS)?, now)),
        (None, None, None) => Ok(last(DAYS, now)),
        (None, Some(from), to) => {
            let from = match End::read("from", from)? {
                End::Day(day) => start_of(zone, day)?,
                End::Moment(moment) => moment.duration_trunc(GRAIN).unwrap_or(moment),
            };
            let to = match to.map(|to| End::read("to", to)).transpose()? {
                None => end_of_hour(now),
                Some(End::Day(day)) => start_of(zone, day + Days::new(1))?,
                Some(End::Moment(moment)) => {
                    let floor = moment.duration_trunc(GRAIN).unwrap_or(moment);
                    if floor == moment { moment } else { floor + GRAIN }
                }
            };
            bounded(Interval { from, to })
        }
    }
}

/// The current hour is still filling, and part of the answer.
pub(super) fn end_of_hour(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now) + TimeDelta::hours(1)
}

fn last(days: i64, now: DateTime<Utc>) -> Interval {
    let to = end_of_hour(now);
    Interval { from: to - TimeDelta::days(days), to }
}

fn bounded(interval: Interval) -> Result<Interval, Problem> {
    if !YEARS.contains(&interval.from.year()) {
        return Err(Problem::bad_request("The interval is too far away."));
    }
    if interval.from >= interval.to {
        return Err(Problem::bad_request("The interval ends before it begins: `from` must be before `to`."));
    }
    if interval.length().num_days() > Range::MAX_DAYS {
        return Err(Problem::bad_request(format!("The interval is longer than {} days.", Range::MAX_DAYS)));
    }
    Ok(interval)
}

/// The first moment of a day, which must be a whole quarter of an hour of UTC.
pub(super) fn start_of(zone: Zone, day: NaiveDate) -> Result<DateTime<Utc>, Problem> {
    let start = zone.start_of(day);
    if start.timestamp() % GRAIN.num_seconds() == 0 {
        return Ok(start);
    }
    Err(Problem::bad_request(format!(
        "In the time zone {} the {day} did not begin at a whole quarter of an hour of UTC, and the tables hold no shorter \
         times. Ask in UTC.",
        zone.name()
    )))
}

/// One end of an interval, as it was written.
enum End {
    Day(NaiveDate),
    Moment(DateTime<Utc>),
}

impl End {
    fn read(name: &str, text: &str) -> Result<End, Problem> {
        // A plus that was not escaped comes as a space.
        let moment = || DateTime::parse_from_rfc3339(&text.replace(' ', "+")).ok().map(|moment| moment.to_utc());
        let read = text.parse().ok().map(End::Day).or_else(|| moment().map(End::Moment));
        let year = |end: &End| match end {
            End::Day(day) => day.year(),
            End::Moment(moment) => moment.year(),
        };
        read.filter(|end| YEARS.contains(&year(end))).ok_or_else(|| {
            Problem::bad_request(format!(
                "The parameter `{name}` is a day such as 2025-11-16 or a time such as 2025-11-16T10:00:00Z, from {} to {}.",
                YEARS.start(),
                YEARS.end()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Asked, Problem> {
        Asked::read(Some(query), "2025-11-16T10:30:00Z".parse().expect("a time"))
    }

    fn asked(query: &str) -> Asked {
        read(query).unwrap_or_else(|problem| panic!("{query}: {problem:?}"))
    }

    fn span(query: &str) -> (String, String) {
        let interval = asked(query).interval;
        (interval.from.to_rfc3339(), interval.to.to_rfc3339())
    }

    #[test]
    fn an_interval_is_said_in_days_or_by_its_ends() {
        let text = |from: &str, to: &str| (format!("{from}+00:00"), format!("{to}+00:00"));
        assert_eq!(span("metric=revenue&days=7"), text("2025-11-09T11:00:00", "2025-11-16T11:00:00"));
        assert_eq!(span("metric=revenue"), text("2025-10-17T11:00:00", "2025-11-16T11:00:00"));
        let days = "metric=revenue&from=2025-11-01&to=2025-11-02";
        assert_eq!(span(days), text("2025-11-01T00:00:00", "2025-11-03T00:00:00"), "the last day is part of it");
        assert_eq!(
            span(&format!("{days}&timezone=America/New_York")),
            text("2025-11-01T04:00:00", "2025-11-03T05:00:00")
        );
        assert_eq!(
            span("metric=revenue&from=2025-11-01T12:40:00+02:00&to=2025-11-02T00:00:01Z"),
            text("2025-11-01T10:30:00", "2025-11-02T00:15:00"),
            "whole quarters of an hour"
        );
        assert_eq!(span("metric=revenue&from=2025-11-16"), text("2025-11-16T00:00:00", "2025-11-16T11:00:00"));
    }

    #[test]
    fn filters_of_one_dimension_are_alternatives() {
        let filters = asked("metric=revenue&filter=store:1&filter=payment:card:x&filter=store:2").filters;
        let said: Vec<_> = filters.iter().map(|filter| (filter.dimension, filter.values.join("|"))).collect();
        assert_eq!(said, [(Dimension::Store, "1|2".to_owned()), (Dimension::Payment, "card:x".to_owned())]);
    }

    #[test]
    fn without_a_granularity_it_is_a_course_or_a_ranking() {
        assert_eq!(asked("metric=revenue&days=7").granularity, Some(Granularity::Day));
        assert_eq!(asked("metric=revenue&days=7&group_by=store").granularity, None);
        assert_eq!(asked("metric=revenue&group_by=store&granularity=auto").granularity, Some(Granularity::Day));
        assert_eq!(asked("metric=revenue&granularity=none").granularity, None);
    }

    #[test]
    fn a_cursor_goes_on_with_the_same_interval_and_no_other_question() {
        let first = asked("metric=revenue&days=7&group_by=store&limit=10");
        let later = Asked::read(
            Some(&format!("metric=revenue&days=7&group_by=store&limit=5&cursor={}", first.next())),
            "2025-11-16T15:00:00Z".parse().expect("a time"),
        )
        .expect("the next page");
        assert_eq!((later.interval, later.offset, later.limit), (first.interval, 10, 5));
        let other = read(&format!("metric=orders&days=7&group_by=store&cursor={}", first.next()));
        assert!(format!("{other:?}").contains("does not belong"), "{other:?}");
    }

    #[test]
    fn nonsense_is_explained() {
        for (query, why) in [
            ("", "`metric` is missing"),
            ("metric=revenu", "there are revenue, orders"),
            ("metric=revenue,revenue", "more than once"),
            ("metric=revenue&group_by=color", "not a dimension"),
            ("metric=revenue&filter=color:red", "not a dimension"),
            ("metric=revenue&filter=store", "a colon"),
            ("metric=revenue&granularity=year", "auto, none"),
            ("metric=revenue&compare=last", "there are previous"),
            ("metric=revenue&timezone=Mars", "IANA"),
            ("metric=revenue&timezone=Africa/Monrovia&from=1971-01-01&to=1971-01-01", "whole quarter"),
            ("metric=revenue&days=0", "from 1 to 3660"),
            ("metric=revenue&days=9999999999999999999999", "from 1 to 3660"),
            ("metric=revenue&limit=10001", "from 1 to 10000"),
            ("metric=revenue&days=7&from=2025-01-01", "not by both"),
            ("metric=revenue&to=2025-01-01", "needs a `from`"),
            ("metric=revenue&from=yesterday", "a day such as"),
            ("metric=revenue&from=9999-12-31", "from 1970 to 2199"),
            ("metric=revenue&from=2025-01-02&to=2025-01-01", "before"),
            ("metric=revenue&from=1990-01-01&to=2025-01-01", "longer than"),
            ("metric=revenue&cursor=x", "cursor"),
            ("metric=revenue&as_of=2099-01-01", "lies ahead"),
            ("metric=revenue&colour=red", "not a parameter"),
        ] {
            let problem = format!("{:?}", read(query).expect_err(query));
            assert!(problem.contains(why), "{query}: {problem}");
        }
    }
}
