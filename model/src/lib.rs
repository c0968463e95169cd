//! Plain data shared by every part of StreamlineHub, in the browser and on the server alike.
//!
//! Nothing here performs I/O. `app`, `etl` and `server` depend on this crate; it depends on none of them.
//!
//! * [`topic`]: the Kafka topics and the lake tables that belong to them
//! * [`event`]: what an event looks like on the wire, and how strictly it is read
//! * [`check`]: what a message has to pass before it counts as an event
//! * [`money`]: decimal amounts, never floats
//! * [`metric`]: the metric catalogue: every number the product shows, defined once
//! * [`query`]: questions to the catalogue and their answers
//! * [`range`]: the time range of a view, as it stands in its URL
//! * [`explore`]: a view of the Explore page, as it stands in its URL
//! * [`access`]: permissions, roles, and what the pages show of users and the audit log
//! * [`lake`]: the lake's tables, and what a statement over them answers
//! * [`ledger`]: what became of every event, and whether the books balance
//! * [`overview`], [`pipeline`], [`live`], [`health`]: what the pages and the API answer
//! * [`quality`]: rules about the data and what they found; [`letter`]: messages that could not be used, and their replay
//! * [`saved`]: views, queries and dashboards that people keep
//! * [`api_docs`]: what the page about the API shows

pub mod access;
pub mod api_docs;
pub mod check;
pub mod event;
pub mod explore;
pub mod health;
pub mod lake;
pub mod ledger;
pub mod letter;
pub mod live;
pub mod metric;
pub mod money;
pub mod overview;
pub mod pipeline;
pub mod quality;
pub mod query;
pub mod range;
pub mod saved;
pub mod topic;
