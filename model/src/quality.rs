//! The quality of the data: rules, what they found, and what became of events that were refused.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::range::Interval;

/// What happens to an event of which a row breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Action {
    /// It is counted and stays.
    Warn,
    /// It goes into no Silver table. Bronze has it.
    Drop,
    /// The same, and it is kept among the dead letters, from where it can be replayed.
    Quarantine,
    /// Its topic goes no further than Bronze until the rule or the program is mended.
    Fail,
}

impl Action {
    pub const ALL: [Action; 4] = [Action::Warn, Action::Drop, Action::Quarantine, Action::Fail];

    pub fn name(self) -> &'static str {
        match self {
            Action::Warn => "warn",
            Action::Drop => "drop",
            Action::Quarantine => "quarantine",
            Action::Fail => "fail",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Action::Warn => "Warn",
            Action::Drop => "Drop",
            Action::Quarantine => "Quarantine",
            Action::Fail => "Stop",
        }
    }

    pub fn from_name(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// A rule as the settings declare it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rule {
    /// Unique; small letters, digits and underscores.
    pub name: String,
    /// A Silver table such as `silver.transactions`.
    pub table: String,
    /// SQL over the table's columns that is true for good rows. A row for which it is NULL passes, as with SQL's CHECK.
    pub expression: String,
    pub action: Action,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// A row that broke a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sample {
    /// The event's place in Kafka.
    pub partition: i32,
    pub offset: i64,
    /// The columns that the rule looks at, such as `quantity = 0.0000`.
    pub values: String,
}

/// What a rule found in the rows of one commit to a Silver table. It stands in that commit's own entry of the Delta log, so that
/// it is there exactly once, as the rows are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub rule: String,
    pub action: Action,
    /// Rows as they came, those among them that Silver had already.
    pub checked: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// A few of the rows that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
    /// How many failed by the value of the table's dimension, the greatest few.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub offenders: BTreeMap<String, u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The rows that a rule looked at and those that broke it, over a range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleReport {
    pub rule: Rule,
    pub checked: u64,
    pub failed: u64,
    /// When a row failed last, within the range.
    pub last_failed: Option<DateTime<Utc>>,
    /// The values of [`RuleReport::dimension`] of which the most rows failed.
    pub offenders: Vec<Offender>,
    /// What rows are told apart by, such as `store_id`.
    pub dimension: String,
}

impl RuleReport {
    /// The share of rows that passed, 0 to 1; none where nothing was checked.
    pub fn pass_rate(&self) -> Option<f64> {
        pass_rate(self.checked, self.failed)
    }
}

/// The share of rows that passed, 0 to 1; none where nothing was checked.
#[expect(clippy::cast_precision_loss, reason = "a share for people to read")]
pub fn pass_rate(checked: u64, failed: u64) -> Option<f64> {
    (checked > 0).then(|| 1.0 - failed as f64 / checked as f64)
}

/// A value of a dimension and the rows with it that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Offender {
    /// Empty: rows without one.
    pub value: String,
    pub failed: u64,
}

/// What a rule found in a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RulePoint {
    pub rule: String,
    /// When the span begins.
    pub time: DateTime<Utc>,
    pub checked: u64,
    pub failed: u64,
}

/// A sample and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleSample {
    pub rule: String,
    pub topic: String,
    /// When it was found.
    pub at: DateTime<Utc>,
    #[serde(flatten)]
    pub sample: Sample,
}

/// How old the newest row of a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Freshness {
    /// As SQL names it.
    pub table: String,
    /// When Kafka got the newest event that is in the table; none while it is empty.
    pub newest: Option<DateTime<Utc>>,
    /// Seconds since then.
    pub age_seconds: Option<i64>,
}

/// Events of a topic in one hour beside the same hour of the weeks before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Volume {
    pub topic: String,
    /// The hour, which is over.
    pub hour: DateTime<Utc>,
    pub events: u64,
    /// The median of the same hour in the weeks before.
    pub usual: f64,
    /// How many weeks there are to compare with.
    pub weeks: usize,
    /// The modified z-score; see [`modified_z_score`]. None where there is too little to compare with.
    pub score: Option<f64>,
    /// Whether the score is beyond [`UNUSUAL`].
    pub unusual: bool,
}

/// A modified z-score beyond this, up or down, is unusual: the bound that Iglewicz and Hoaglin recommend.
pub const UNUSUAL: f64 = 3.5;
/// Fewer values say nothing of what is usual.
pub const FEWEST_WEEKS: usize = 4;

/// How unusual a value is among others, robust against outliers among them: the modified z-score
/// `0.6745 (x - median) / MAD` of B. Iglewicz and D. Hoaglin, "How to Detect and Handle Outliers" (ASQC, 1993), as in the NIST/SEMATECH
/// e-Handbook of Statistical Methods, section 1.3.5.17. Where more than half of the values are equal, the MAD (the median of the
/// distances from the median) is 0; then `(x - median) / (1.253314 MeanAD)` is taken, with the mean of the distances, and where
/// that is 0 as well a distance of 5 % of the median, or one event, counts as one unit.
///
/// None with fewer than [`FEWEST_WEEKS`] values.
pub fn modified_z_score(value: f64, others: &[f64]) -> Option<f64> {
    if others.len() < FEWEST_WEEKS {
        return None;
    }
    let middle = median(others);
    let distances: Vec<f64> = others.iter().map(|other| (other - middle).abs()).collect();
    let mad = median(&distances);
    let distance = value - middle;
    if mad > 0.0 {
        return Some(0.6745 * distance / mad);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few weeks")]
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    let unit = if mean > 0.0 { 1.253_314 * mean } else { f64::max(middle * 0.05, 1.0) };
    Some(distance / unit)
}

/// The middle value; of an even number the mean of the two in the middle. 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.get(half), half.checked_sub(1).and_then(|before| sorted.get(before))) {
        (Some(upper), Some(lower)) if sorted.len().is_multiple_of(2) => f64::midpoint(*lower, *upper),
        (Some(middle), _) => *middle,
        (None, _) => 0.0,
    }
}

/// A topic whose events do not get into Silver because of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stopped {
    pub topic: String,
    pub error: String,
}

/// What the page shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QualityView {
    pub interval: Interval,
    pub rules: Vec<RuleReport>,
    /// Width of the spans, in minutes.
    pub minutes: i64,
    pub points: Vec<RulePoint>,
    /// The newest first.
    pub samples: Vec<RuleSample>,
    pub freshness: Vec<Freshness>,
    pub volume: Vec<Volume>,
    /// Hours of the last day in which a topic had unusually many or few events, the newest first.
    pub anomalies: Vec<Volume>,
    pub stopped: Vec<Stopped>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_that_of_the_handbook_and_bears_constant_weeks() {
        // Median 100, distances 10, 0, 10, 20, 5: MAD 10.
        let weeks = [90.0, 100.0, 110.0, 120.0, 95.0];
        let score = |value| modified_z_score(value, &weeks).expect("enough weeks");
        assert!((score(200.0) - 6.745).abs() < 1e-9);
        assert!(score(100.0).abs() < 1e-9);
        assert!(score(50.0) < 0.0 && score(50.0) > -UNUSUAL);
        // One week that is different does not make the others unusual.
        let with_outlier = [100.0, 100.0, 100.0, 100.0, 5_000.0];
        assert!(modified_z_score(100.0, &with_outlier).expect("a score").abs() < 1e-9);
        let constant = [40.0; 8];
        assert!(modified_z_score(42.0, &constant).expect("a score").abs() < UNUSUAL);
        assert!(modified_z_score(0.0, &constant).expect("a score") < -UNUSUAL);
        assert_eq!(modified_z_score(1.0, &[1.0, 2.0, 3.0]), None);
    }

    #[test]
    fn an_action_has_one_name_everywhere() {
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).expect("JSON"), action.name());
            assert_eq!(Action::from_name(action.name()), Some(action));
        }
    }
}
