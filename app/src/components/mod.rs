//! The parts that pages are made of.

pub mod bars;
pub mod connection;
pub mod dead_letters;
pub mod flow;
pub mod health;
pub mod icon;
pub mod kpi;
pub mod lake;
pub mod live_strip;
pub mod notice;
pub mod products;
pub mod range_picker;
pub mod replay;
pub mod skeleton;
pub mod sortable;
pub mod sparkline;
pub mod topics;
