//! What happens now: the live metrics, and the numbers of the day so far.

use chrono::{DateTime, Days, Utc};
use model::{
    live::Live,
    metric::{METRICS, Unit},
    overview::Kpi,
    query::MetricQuery,
    range::Interval,
};
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ask::{end_of_hour, start_of},
    refused,
};
use crate::{overview::of_nothing, problem::Problem, warehouse::Warehouse, zone::Zone};

#[derive(Debug, Serialize, ToSchema)]
pub struct Realtime {
    pub at: DateTime<Utc>,
    /// What the pipeline says of itself, about once a second.
    pub live: Live,
    pub today: Today,
}

/// The day so far, with the current hour, beside the same hours of the day before.
#[derive(Debug, Serialize, ToSchema)]
pub struct Today {
    #[schema(value_type = String, example = "UTC")]
    pub timezone: &'static str,
    pub interval: Interval,
    pub previous_interval: Interval,
    pub kpis: Vec<TodayKpi>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TodayKpi {
    #[schema(value_type = String, example = "revenue")]
    pub metric: &'static str,
    pub unit: Unit,
    /// An exact decimal number; null where there is nothing to compute from.
    pub value: Option<Decimal>,
    pub previous: Option<Decimal>,
    /// Against the day before, in percent with two places.
    pub change_percent: Option<Decimal>,
}

/// # Errors
/// The zone's days do not begin with a quarter of an hour, or the warehouse has no answer.
pub(super) async fn answer(
    warehouse: &Warehouse,
    live: Live,
    zone: Zone,
    now: DateTime<Utc>,
) -> Result<Realtime, Problem> {
    let day = zone.show(now).date_naive();
    let interval = Interval { from: start_of(zone, day)?, to: end_of_hour(now) };
    let from = start_of(zone, day - Days::new(1))?;
    let previous_interval = Interval { from, to: from + interval.length() };
    let question = |interval| MetricQuery {
        metrics: METRICS.iter().collect(),
        interval,
        granularity: None,
        split: None,
        filters: Vec::new(),
        limit: 1,
    };
    let (today, yesterday) = (question(interval), question(previous_interval));
    let (today, yesterday) = tokio::try_join!(warehouse.query(&today), warehouse.query(&yesterday)).map_err(refused)?;
    let value = |rows: &[model::query::Row], index: usize| {
        let value = rows.first().and_then(|row| row.values.get(index).copied().flatten());
        value.or_else(|| of_nothing(&METRICS[index]))
    };
    let kpis = METRICS.iter().enumerate().map(|(index, metric)| {
        let (value, previous) = (value(&today, index), value(&yesterday, index));
        let kpi = Kpi { metric: String::new(), value, previous, course: Vec::new() };
        let change_percent = kpi.change_percent().map(|percent| percent.round_dp(2).normalize());
        TodayKpi { metric: metric.name, unit: metric.unit, value, previous, change_percent }
    });
    let today = Today { timezone: zone.name(), interval, previous_interval, kpis: kpis.collect() };
    Ok(Realtime { at: now, live, today })
}
