//! The web process: pages, API and live streams over the lake, and the pipeline beside them.
//!
//! * [`startup`]: the wiring, and the order in which things come up and go down
//! * [`routes`]: everything that HTTP offers; [`security`], [`problem`], [`plain`], [`request_id`], [`parameters`] and [`etag`]
//!   belong to it
//! * [`events`]: where events come in over HTTP
//! * [`analytics`], [`health_api`], [`prometheus`], [`dashboard_socket`]: for programs; [`openapi`] describes all of it
//! * [`access`]: who gets in, and what they may do
//! * [`dashboard`]: answers the pages, with [`overview`], [`pipeline_view`], [`live`] and [`health`]
//! * [`warehouse`]: the Gold tables in memory; [`delta`] reads the tables from the lake; [`zone`]: days of local time
//! * [`probes`]: how the parts are looked at for [`health`]
//! * [`store`]: what is kept in PostgreSQL
//! * [`replay`]: loads the demo data once

pub mod access;
pub mod analytics;
pub mod api_docs;
pub mod dashboard;
pub mod dashboard_socket;
pub mod delta;
pub mod etag;
pub mod events;
pub mod health;
pub mod health_api;
pub mod live;
pub mod openapi;
pub mod overview;
pub mod parameters;
pub mod pipeline_view;
pub mod plain;
pub mod probes;
pub mod problem;
pub mod prometheus;
pub mod replay;
pub mod request_id;
pub mod routes;
pub mod security;
pub mod startup;
pub mod store;
pub mod warehouse;
pub mod zone;
