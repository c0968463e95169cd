//! What the overview page shows.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::range::{Granularity, Interval};

/// A card: a number, its change, and its course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kpi {
    /// A name from the metric catalogue.
    pub metric: String,
    pub value: Option<Decimal>,
    /// The same over the interval just before; `None` where there are no data.
    pub previous: Option<Decimal>,
    /// Its course over the interval, bucket by bucket.
    pub course: Vec<Option<Decimal>>,
}

impl Kpi {
    /// Change against the previous interval in percent; `None` where there is nothing to compare with.
    pub fn change_percent(&self) -> Option<Decimal> {
        change_percent(self.value, self.previous)
    }
}

/// What changed from one value to another in percent; `None` where there is nothing to compare with.
pub fn change_percent(value: Option<Decimal>, previous: Option<Decimal>) -> Option<Decimal> {
    let (value, previous) = (value?, previous?);
    if previous.is_zero() { None } else { Some((value - previous) / previous * Decimal::ONE_HUNDRED) }
}

/// A point of the revenue chart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub time: DateTime<Utc>,
    pub revenue: Decimal,
    pub orders: Decimal,
}

/// A bar of a ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranked {
    /// What a person reads; "Unknown" where the data name nothing.
    pub label: String,
    /// What tells it apart from others of the same label, such as a product's identifier.
    pub detail: Option<String>,
    pub revenue: Decimal,
    /// Orders for stores, units for departments and products.
    pub count: Decimal,
}

/// The page's numbers, all from the same moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    pub interval: Interval,
    pub granularity: Granularity,
    pub computed_at: DateTime<Utc>,
    pub kpis: Vec<Kpi>,
    pub revenue: Vec<Point>,
    pub departments: Vec<Ranked>,
    pub products: Vec<Ranked>,
    pub stores: Vec<Ranked>,
}

impl Overview {
    /// Whether there is nothing at all in the interval.
    pub fn is_empty(&self) -> bool {
        self.revenue.is_empty()
    }
}
