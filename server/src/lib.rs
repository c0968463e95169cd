//! The web process: pages, API and live streams over the lake, and the pipeline beside them.
//!
//! * [`startup`]: the wiring, and the order in which things come up and go down
//! * [`routes`]: everything that HTTP offers; [`security`], [`problem`], [`plain`], [`request_id`], [`parameters`] and [`etag`]
//!   belong to it
//! * [`events`]: where events come in over HTTP
//! * [`analytics`], [`health_api`], [`prometheus`], [`dashboard_socket`]: for programs; [`openapi`] describes all of it
//! * [`access`]: who gets in, and what they may do
//! * [`quality`]: rules about the data, what they found, and messages that could not be used
//! * [`saved`]: views, queries and dashboards that people keep
//! * [`dashboard`]: answers the pages, with [`overview`], [`explore`], [`pipeline_view`], [`live`] and [`health`]
//! * [`warehouse`]: the Gold tables in memory; [`delta`] reads the tables from the lake; [`zone`]: days of local time
//! * [`behind`]: the rows and events behind a number
//! * [`numbers`]: the catalogue's numbers, now or as they stood
//! * [`lake`]: the lake's tables as they are and were, and SQL over them
//! * [`probes`]: how the parts are looked at for [`health`]
//! * [`store`]: what is kept in PostgreSQL
//! * [`replay`]: loads the demo data once

pub mod access;
pub mod analytics;
pub mod api_docs;
pub mod behind;
pub mod dashboard;
pub mod dashboard_socket;
pub mod delta;
pub mod etag;
pub mod events;
pub mod explore;
pub mod explore_csv;
pub mod health;
pub mod health_api;
pub mod lake;
pub mod ledger;
pub mod live;
pub mod numbers;
pub mod openapi;
pub mod overview;
pub mod parameters;
pub mod pipeline_view;
pub mod plain;
pub mod probes;
pub mod problem;
pub mod prometheus;
pub mod quality;
pub mod replay;
pub mod request_id;
pub mod routes;
pub mod saved;
pub mod security;
pub mod startup;
pub mod store;
pub mod warehouse;
pub mod zone;
