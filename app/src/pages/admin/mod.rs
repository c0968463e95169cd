//! The pages of administrators.

pub mod audit;
pub mod roles;
pub mod sessions;
pub mod users;
