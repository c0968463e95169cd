//! One file per page.

pub mod account;
pub mod admin;
pub mod docs;
pub mod explore;
pub mod keys;
pub mod not_found;
pub mod overview;
pub mod pipeline;
pub mod profile;
