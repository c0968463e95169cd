//! A heat map: each number as a field, the darker the greater. Time lies along the split, or else the parts of a longer time
//! along its wholes: the hours of days, the days of weeks, the weeks or months of years.

use chrono::{DateTime, Datelike, Days, Timelike, Utc};
use model::{
    explore::{ExploreAnswer, ExploreView},
    range::Granularity,
};

use super::series::{followed, value};
use crate::format;

/// A number in its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// Places among the labels.
    pub across: usize,
    pub down: usize,
    pub value: f64,
    /// The row of the answer that it stands in.
    pub row: usize,
}

/// The fields of one metric after the other, and the labels that they share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heat {
    pub across: Vec<String>,
    pub down: Vec<String>,
    pub fields: Vec<Vec<Field>>,
}

/// The lowest and the highest number of a panel.
pub fn extent(fields: &[Field]) -> (f64, f64) {
    let values = || fields.iter().map(|field| field.value);
    (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
}

pub fn heat(view: &ExploreView, answer: &ExploreAnswer) -> Heat {
    let Some(granularity) = answer.granularity else { return Heat::default() };
    let mut heat = Heat { fields: vec![Vec::new(); view.metrics.len()], ..Heat::default() };
    if view.split.is_none() {
        heat.down = rows_of(granularity);
    }
    let step = followed(answer);
    for (row, place) in answer.rows.iter().zip(0..) {
        let Some(time) = row.time else { continue };
        let (across, down) = if view.split.is_some() {
            if heat.down.len() < step {
                heat.down.push(answer.name_of(row.key.as_deref()));
            }
            (format::bucket_short(granularity, time), place % step)
        } else {
            cell(granularity, time)
        };
        // Rows come in the order of time.
        if heat.across.last() != Some(&across) {
            heat.across.push(across);
        }
        let across = heat.across.len() - 1;
        for (metric, fields) in heat.fields.iter_mut().enumerate() {
            if let Some(value) = value(Some(row), metric) {
                fields.push(Field { across, down, value, row: place });
            }
        }
    }
    heat
}

fn rows_of(granularity: Granularity) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match granularity {
        Granularity::Hour => (0..24).map(|hour| format!("{hour:02}:00")).collect(),
        Granularity::Day => words(&["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]),
        Granularity::Week => (1..=53).map(|week| format!("Week {week}")).collect(),
        Granularity::Month => {
            words(&["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"])
        }
    }
}

/// The whole that a bucket is a part of, and which of its parts it is.
fn cell(granularity: Granularity, time: DateTime<Utc>) -> (String, usize) {
    let (whole, part) = match granularity {
        Granularity::Hour => (format::bucket_short(Granularity::Day, time), time.hour()),
        Granularity::Day => {
            let weekday = time.weekday().num_days_from_monday();
            (format::bucket_short(Granularity::Week, time - Days::new(u64::from(weekday))), weekday)
        }
        Granularity::Week => (time.iso_week().year().to_string(), time.iso_week().week0()),
        Granularity::Month => (time.year().to_string(), time.month0()),
    };
    (whole, usize::try_from(part).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{super::series::tests::answer, *};

    #[test]
    fn days_lie_in_their_weeks() {
        let view = ExploreView::parse("chart=heat").expect("a view");
        let heat = heat(&view, &answer(9, &[None]));
        assert_eq!(heat.across, ["3 Nov 2025", "10 Nov 2025"]);
        assert_eq!(heat.down.len(), 7);
        assert_eq!(heat.fields[0].len(), 9);
        assert_eq!(heat.fields[0][8], Field { across: 1, down: 1, value: 9.0, row: 8 });
        assert_eq!(extent(&heat.fields[0]), (1.0, 9.0));
    }

    #[test]
    fn a_split_lies_along_time() {
        let view =
            ExploreView::parse("metric=revenue&metric=average_order_value&split=store&chart=heat").expect("a view");
        let heat = heat(&view, &answer(2, &[Some("7"), None]));
        assert_eq!((heat.across.len(), heat.down.as_slice()), (2, ["7".to_owned(), "Unknown".to_owned()].as_slice()));
        assert_eq!(heat.fields[0][3], Field { across: 1, down: 1, value: 4.0, row: 3 });
        assert_eq!(heat.fields[1], []);
    }
}
