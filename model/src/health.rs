//! What `GET /api/v1/health` answers.

use serde::{Deserialize, Serialize};

/// How well something works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Status {
    Ok,
    /// Coming up; ask again in a moment.
    #[default]
    Starting,
    /// Works in part, or is being brought back.
    Degraded,
    /// Does not work.
    Down,
}

/// One component: `broker`, `redis`, `postgres`, `lake`, `pipeline`, `disk` or `books`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Component {
    pub name: String,
    pub status: Status,
    /// How long it took to answer, in milliseconds.
    pub latency_ms: Option<f64>,
    /// What is wrong and what to do, or what it is.
    pub detail: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ReplayState {
    /// Not asked for: the data come from elsewhere.
    Off,
    #[default]
    Pending,
    Running,
    /// Every event is in Gold.
    Done,
    /// It cannot go on; the detail says why.
    Failed,
}

/// How far the demo data are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replay {
    pub state: ReplayState,
    /// From 0 to 1: the share of the events that are in Gold.
    pub share: f64,
    /// Events that the data set makes; 0 until it is known.
    pub events: u64,
    pub detail: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// The worst of the components.
    pub status: Status,
    pub version: String,
    pub components: Vec<Component>,
    pub replay: Replay,
}
