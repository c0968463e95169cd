//! What people keep: views, SQL queries, and dashboards made of views.
//!
//! A person sees their own things and what others share, and changes their own only; what is not for them to see is answered
//! as if it were not there. Who sees a dashboard sees the views of its owner on it: sharing it shares them with it. A view of
//! somebody else is seen on it for as long as that person shares it. Queries are for those who may run SQL.
//!
//! * [`items`]: views and queries; [`dashboards`] and [`tiles`]; [`checks`]: what may be kept
//! * [`forms`], [`rest`] and [`dashboards_rest`], [`pages`]: how browsers, programs and pages come to them

mod checks;
pub mod dashboards;
pub mod dashboards_rest;
pub mod forms;
pub mod items;
pub mod pages;
pub mod rest;
pub mod tiles;

use model::{
    access::Permission,
    saved::{SavedKind, TileWidth},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::{Access, Denied, Standing};

/// Of what others share, at most so many are listed; a search finds the rest.
const MOST_OF_OTHERS: i64 = 200;

/// What one person keeps and sees.
pub struct Shelf<'a> {
    access: &'a Access,
    standing: &'a Standing,
}

impl<'a> Shelf<'a> {
    pub fn new(access: &'a Access, standing: &'a Standing) -> Shelf<'a> {
        Shelf { access, standing }
    }

    fn sees_queries(&self) -> bool {
        self.standing.may(Permission::SqlRun)
    }

    fn check_kind(&self, kind: SavedKind) -> Result<(), Denied> {
        if kind == SavedKind::Query && !self.sees_queries() {
            let why = format!("Saved queries need the permission {}.", Permission::SqlRun.name());
            return Err(Denied::Forbidden(why));
        }
        Ok(())
    }

    /// Until the transaction ends this person adds nothing elsewhere: many at once do not pass a limit together.
    async fn one_at_a_time(&self, connection: &mut PgConnection) -> Result<(), Denied> {
        sqlx::query!("SELECT id FROM streamlinehub.users WHERE id = $1 FOR NO KEY UPDATE", self.standing.user)
            .fetch_one(connection)
            .await?;
        Ok(())
    }
}

/// A dashboard as a program or a form wants it.
#[derive(Clone, Debug, Default)]
pub struct DashboardDraft {
    pub name: String,
    pub shared: bool,
    pub tiles: Vec<TileDraft>,
}

/// A view, and how it stands on a dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileDraft {
    /// A tile keeps its id while others change.
    pub id: Uuid,
    pub view: Uuid,
    pub width: TileWidth,
}

impl TileDraft {
    pub fn new(view: Uuid, width: TileWidth) -> TileDraft {
        TileDraft { id: Uuid::new_v4(), view, width }
    }
}

fn no_item<T>() -> Result<T, Denied> {
    Err(Denied::Missing("There is no such view or query, or it is shared no longer.".to_owned()))
}

fn no_dashboard<T>() -> Result<T, Denied> {
    Err(Denied::Missing("There is no such dashboard, or it is shared no longer.".to_owned()))
}

fn not_yours<T>() -> Result<T, Denied> {
    Err(Denied::Forbidden("Only the person who keeps this may change it.".to_owned()))
}
