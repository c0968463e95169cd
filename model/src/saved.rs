//! What people keep: views, SQL queries, and dashboards made of views.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 80;
/// The longest text of a view or query, in bytes.
pub const LONGEST_TEXT: usize = 16 * 1024;
/// The most views and queries of one person.
pub const MOST_SAVED: usize = 500;
/// The most dashboards of one person.
pub const MOST_DASHBOARDS: usize = 50;
/// The most tiles of a dashboard.
pub const MOST_TILES: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SavedKind {
    /// Of the page Explore.
    View,
    /// SQL over the lake.
    Query,
}

impl SavedKind {
    pub const ALL: [SavedKind; 2] = [SavedKind::View, SavedKind::Query];

    /// As it is stored, sent and written in documents.
    pub fn name(self) -> &'static str {
        match self {
            SavedKind::View => "view",
            SavedKind::Query => "query",
        }
    }

    pub fn from_name(name: &str) -> Option<SavedKind> {
        SavedKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A view or a query that somebody keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Saved {
    pub id: Uuid,
    pub kind: SavedKind,
    #[cfg_attr(feature = "openapi", schema(example = "Revenue by store"))]
    pub name: String,
    /// Of a view what stands after the question mark in the address of the page Explore; of a query the SQL.
    #[cfg_attr(feature = "openapi", schema(example = "metric=revenue&range=30d&split=store"))]
    pub text: String,
    /// The name of the person whose it is, and who alone may change it.
    #[cfg_attr(feature = "openapi", schema(example = "Ann Example"))]
    pub owner: String,
    /// Whether it belongs to the one who asks.
    pub mine: bool,
    /// Whether everybody sees it.
    pub shared: bool,
    pub created: DateTime<Utc>,
    pub changed: DateTime<Utc>,
}

/// A dashboard, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DashboardSummary {
    pub id: Uuid,
    #[cfg_attr(feature = "openapi", schema(example = "Monday"))]
    pub name: String,
    /// The name of the person whose it is, and who alone may change it.
    #[cfg_attr(feature = "openapi", schema(example = "Ann Example"))]
    pub owner: String,
    /// Whether it belongs to the one who asks.
    pub mine: bool,
    /// Whether everybody sees it, and those of its owner's views that are on it.
    pub shared: bool,
    /// How many.
    pub tiles: i64,
    pub created: DateTime<Utc>,
    pub changed: DateTime<Utc>,
}

/// A dashboard and what is on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DashboardDetail {
    pub id: Uuid,
    #[cfg_attr(feature = "openapi", schema(example = "Monday"))]
    pub name: String,
    /// The name of the person whose it is, and who alone may change it.
    #[cfg_attr(feature = "openapi", schema(example = "Ann Example"))]
    pub owner: String,
    /// Whether it belongs to the one who asks.
    pub mine: bool,
    /// Whether everybody sees it, and those of its owner's views that are on it.
    pub shared: bool,
    /// In their order.
    pub tiles: Vec<Tile>,
    pub created: DateTime<Utc>,
    pub changed: DateTime<Utc>,
}

/// One view on a dashboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tile {
    pub id: Uuid,
    pub width: TileWidth,
    /// The id of the view.
    pub view: Uuid,
    /// What the view is now; nothing where it belongs to somebody else, who shares it no longer.
    pub shows: Option<TileView>,
}

/// What a tile shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TileView {
    #[cfg_attr(feature = "openapi", schema(example = "Revenue by store"))]
    pub name: String,
    /// As in the address of the page Explore.
    #[cfg_attr(feature = "openapi", schema(example = "metric=revenue&range=30d&split=store"))]
    pub query: String,
}

/// How much of the page a tile takes, where there is room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TileWidth {
    #[default]
    Half,
    Full,
}

impl TileWidth {
    pub const ALL: [TileWidth; 2] = [TileWidth::Half, TileWidth::Full];

    /// As it is stored, sent and written in documents.
    pub fn name(self) -> &'static str {
        match self {
            TileWidth::Half => "half",
            TileWidth::Full => "full",
        }
    }

    pub fn from_name(name: &str) -> Option<TileWidth> {
        TileWidth::ALL.into_iter().find(|width| width.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_and_a_width_have_one_name_everywhere() {
        for kind in SavedKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.name());
            assert_eq!(SavedKind::from_name(kind.name()), Some(kind));
        }
        for width in TileWidth::ALL {
            assert_eq!(serde_json::to_value(width).expect("JSON"), width.name());
            assert_eq!(TileWidth::from_name(width.name()), Some(width));
        }
    }
}
