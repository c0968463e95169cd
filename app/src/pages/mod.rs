//! One file per page.

pub mod account;
pub mod admin;
pub mod dashboard;
pub mod dashboards;
pub mod docs;
pub mod event;
pub mod explore;
pub mod keys;
pub mod letter;
pub mod letters;
pub mod not_found;
pub mod overview;
pub mod pipeline;
pub mod profile;
pub mod quality;
pub mod rows;
pub mod saved;
pub mod sql;
pub mod table;
pub mod tables;
