//! The quality of the data, for people and programs.
//!
//! * [`results`]: what the rules found, from `gold.quality_results`; [`freshness`] of the tables; [`volume`] of the topics
//! * [`letters`]: dead letters, those that the rules put aside among them
//! * [`replay`]: letters that are sent again, one or, by [`batch`], all that a filter lets through, and who did it
//! * [`rest`] and [`letters_rest`], [`forms`], [`pages`]: how programs, browsers and pages come to them

pub mod batch;
pub mod forms;
pub mod freshness;
pub mod letters;
pub mod letters_rest;
pub mod pages;
pub mod replay;
pub mod rest;
pub mod results;
pub mod volume;

use anyhow::Result;
use chrono::{DateTime, Utc};
use model::{
    live::Stage,
    quality::{QualityView, Rule, Stopped},
    range::Interval,
};
use url::Url;

use self::{freshness::Tables, results::Results};
use crate::{dashboard::Parts, live::LiveFeed, warehouse::QueryError};

/// The words of an error by which a topic is known that a rule has stopped.
const STOPPED_BY: &str = "the quality rule `";

/// What is known of the quality of the data.
pub struct Quality {
    rules: Vec<Rule>,
    results: Results,
    tables: Tables,
}

impl Quality {
    /// The rules of the settings, and the lake with this root.
    pub fn new(rules: Vec<Rule>, lake: &Url) -> Quality {
        Quality { rules, results: Results::new(lake), tables: Tables::new(lake) }
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn results(&self) -> &Results {
        &self.results
    }

    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// All that the page shows.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn view(&self, parts: &Parts, interval: Interval, now: DateTime<Utc>) -> Result<QualityView> {
        let found = self.results.over(&self.rules, interval).await?;
        let freshness = self.tables.freshness(now).await?;
        let (volume, anomalies) = match parts.warehouse.get() {
            None => Default::default(),
            Some(warehouse) => match volume::of(warehouse, now).await {
                Ok(found) => found,
                Err(QueryError::Internal(error)) => return Err(error),
                // Too much is asked right now; the rest is worth being shown.
                Err(error) => {
                    tracing::debug!(%error, "no volumes");
                    Default::default()
                }
            },
        };
        Ok(QualityView {
            interval,
            rules: found.rules,
            minutes: found.minutes,
            points: found.points,
            samples: found.samples,
            freshness,
            volume,
            anomalies,
            stopped: stopped(&parts.live),
        })
    }
}

/// Topics that wait because of a rule.
pub fn stopped(live: &LiveFeed) -> Vec<Stopped> {
    let mut stopped: Vec<Stopped> = Vec::new();
    for topic in live.workers().iter().flat_map(|worker| &worker.topics) {
        let error =
            topic.stages.iter().find(|stage| stage.stage == Stage::Silver).and_then(|stage| stage.error.as_ref());
        if let Some(error) = error.filter(|error| error.contains(STOPPED_BY))
            && stopped.iter().all(|known| known.topic != topic.topic)
        {
            stopped.push(Stopped { topic: topic.topic.clone(), error: error.clone() });
        }
    }
    stopped
}
