//! What the pages show of the quality of the data, for the request that is being answered.

use std::sync::Arc;

use app::ports::{Unavailable, Watch};
use async_trait::async_trait;
use chrono::Utc;
use model::{
    access::Permission,
    letter::{LetterDetail, LetterFilter, LetterPage, PAGE, ReplayBatch},
    quality::QualityView,
    range::Range,
};

use super::{
    batch,
    letters::{self, Place},
    replay::{count_replays, detail_of},
};
use crate::{
    access::{Denied, people::Visit},
    dashboard::Parts,
    lake::Catalogue,
};

/// The parts that know, and who asks.
pub struct Inspection {
    pub parts: Arc<Parts>,
    pub visit: Arc<Visit>,
}

impl Inspection {
    fn catalogue(&self) -> Result<&Arc<Catalogue>, Unavailable> {
        let starting =
            || Unavailable::Starting("The tables will be here in a moment: the server is starting.".to_owned());
        self.parts.catalogue.get().ok_or_else(starting)
    }

    fn unanswered(&self, denied: Denied) -> Unavailable {
        match denied {
            Denied::Internal(error) => self.visit.failed(&error),
            for_people => Unavailable::Failed(for_people.to_string()),
        }
    }
}

#[async_trait]
impl Watch for Inspection {
    async fn quality(&self, range: Range) -> Result<QualityView, Unavailable> {
        self.visit.permitted(Permission::QualityRead)?;
        let starting =
            || Unavailable::Starting("The rules will be here in a moment: the server is starting.".to_owned());
        let quality = self.parts.quality.get().ok_or_else(starting)?;
        let now = Utc::now();
        quality.view(&self.parts, range.interval(now), now).await.map_err(|error| self.visit.failed(&error))
    }

    async fn letters(&self, filter: LetterFilter, cursor: &str) -> Result<LetterPage, Unavailable> {
        self.visit.permitted(Permission::QualityRead)?;
        let cursor = Some(cursor).filter(|cursor| !cursor.is_empty());
        let page = letters::page(self.catalogue()?, &filter, PAGE, cursor).await;
        let mut page = page.map_err(|error| self.unanswered(error.into()))?;
        let counted = count_replays(self.visit.access()?, &mut page.letters).await;
        counted.map_err(|denied| self.unanswered(denied))?;
        Ok(page)
    }

    async fn letter(&self, place: &str) -> Result<Option<LetterDetail>, Unavailable> {
        self.visit.permitted(Permission::QualityRead)?;
        let parts: Vec<&str> = place.split('/').collect();
        let place = match parts[..] {
            [topic, partition, offset] => Place::parse(topic, partition, offset),
            _ => None,
        };
        let Some(place) = place else {
            self.visit.not_found();
            return Ok(None);
        };
        match detail_of(self.visit.access()?, self.catalogue()?, place).await {
            Ok(letter) => Ok(Some(letter)),
            Err(Denied::Missing(_)) => {
                self.visit.not_found();
                Ok(None)
            }
            Err(denied) => Err(self.unanswered(denied)),
        }
    }

    async fn batches(&self) -> Result<Vec<ReplayBatch>, Unavailable> {
        self.visit.permitted(Permission::QualityRead)?;
        let batches = batch::newest(self.visit.access()?).await;
        batches.map_err(|denied| self.unanswered(denied))
    }
}
