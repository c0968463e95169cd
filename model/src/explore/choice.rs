//! What a person can choose of a view besides metrics and dimensions.

use serde::{Deserialize, Serialize};

use crate::range::Granularity;

/// How wide the time buckets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Buckets {
    /// As the range and the chart suggest.
    #[default]
    Auto,
    /// No buckets: the range as a whole.
    Whole,
    Each(Granularity),
}

impl Buckets {
    pub const ALL: [Buckets; 6] = [
        Buckets::Auto,
        Buckets::Each(Granularity::Hour),
        Buckets::Each(Granularity::Day),
        Buckets::Each(Granularity::Week),
        Buckets::Each(Granularity::Month),
        Buckets::Whole,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Buckets::Auto => "auto",
            Buckets::Whole => "none",
            Buckets::Each(granularity) => granularity.name(),
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Buckets::Auto => "Automatic",
            Buckets::Whole => "In total",
            Buckets::Each(Granularity::Hour) => "By hour",
            Buckets::Each(Granularity::Day) => "By day",
            Buckets::Each(Granularity::Week) => "By week",
            Buckets::Each(Granularity::Month) => "By month",
        }
    }
}

/// How the numbers are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChartKind {
    #[default]
    Line,
    /// Over time; where there are no time buckets the greatest values of the split, one bar each.
    Bar,
    /// Parts that add up to a whole lie one on the other.
    Area,
    /// Each number as a field: time against the split, or else the time of a day or week against the days or weeks.
    Heat,
    /// Not at all: the table alone.
    Table,
}

impl ChartKind {
    pub const ALL: [ChartKind; 5] =
        [ChartKind::Line, ChartKind::Bar, ChartKind::Area, ChartKind::Heat, ChartKind::Table];

    pub fn name(self) -> &'static str {
        match self {
            ChartKind::Line => "line",
            ChartKind::Bar => "bar",
            ChartKind::Area => "area",
            ChartKind::Heat => "heat",
            ChartKind::Table => "table",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            ChartKind::Line => "Line",
            ChartKind::Bar => "Bars",
            ChartKind::Area => "Area",
            ChartKind::Heat => "Heat map",
            ChartKind::Table => "Table",
        }
    }
}
