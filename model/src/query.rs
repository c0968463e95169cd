//! Questions to the metric catalogue and their answers.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    metric::{Dimension, Metric},
    range::{Granularity, Interval},
};

/// The most rows an answer may have.
pub const MAX_ROWS: usize = 10_000;

/// The most filters of a question, and the most values of a filter.
pub const MAX_FILTERS: usize = 8;
pub const MAX_FILTER_VALUES: usize = 100;

/// Keeps the rows whose dimension has one of these values; several filters keep the rows that all of them keep.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Filter {
    pub dimension: Dimension,
    /// Any of these. The empty text stands for rows that name nothing; a value that no row has keeps no row.
    pub values: Vec<String>,
}

/// Metrics over an interval, in all, by time, by a dimension, or by both.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricQuery {
    /// At least one; all from the catalogue.
    pub metrics: Vec<&'static Metric>,
    pub interval: Interval,
    /// `None`: the interval as a whole.
    pub granularity: Option<Granularity>,
    /// Split by this dimension; the rows with the greatest first metric come first.
    pub split: Option<Dimension>,
    /// All of them hold; none keeps every row.
    pub filters: Vec<Filter>,
    /// At most this many rows, and never more than [`MAX_ROWS`].
    pub limit: usize,
}

/// One row of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Start of the time bucket, where a granularity was asked for.
    pub time: Option<DateTime<Utc>>,
    /// Value of the dimension, where a split was asked for; `None` is "unknown".
    pub key: Option<String>,
    /// One value for each metric, in the order in which they were asked for; `None` where there is nothing to compute from.
    pub values: Vec<Option<Decimal>>,
}
