//! The pipeline from Kafka to Gold, as a straight line that [`pipeline`] wires:
//!
//! ```text
//! producers -> Kafka topic -> consume -> Redis buffer -> Bronze -> Silver -> Gold
//!                                            |              |
//!                                       live metrics   dead letters
//! ```
//!
//! * [`ingest`]: Kafka to Bronze, by way of Redis
//! * [`silver`], [`gold`]: the layers above, each from the new rows of the one below
//! * [`quality`]: rules that the rows of Silver are held against, and what they found
//! * [`lake`]: the layout of the tables, and how they are read and committed to
//! * [`ledger`]: what became of every event, counted with the rows
//! * [`live`]: what the stages count, published through Redis
//! * [`progress`]: how far the layers are behind Kafka
//! * [`maintenance`]: keeps the tables' files few and their logs short
//! * [`memory`]: what this process uses, and how it is kept small
//! * [`produce`]: events for demonstration, tests and benchmarks
//! * [`embedded`]: the services that are started where none are named
//! * [`lease`]: which of several workers does what one can do alone
//! * [`settings`]: every setting
//! * [`chaos`]: where tests make it fail

//!
//! Entry points return boxed futures: a future's code is generated where it is polled, and so the pipeline is compiled once,
//! here, and not again in each program and each test.

pub mod chaos;
pub mod embedded;
pub mod gold;
pub mod ingest;
pub mod kafka;
pub mod lake;
pub mod lease;
pub mod ledger;
pub mod live;
pub mod maintenance;
pub mod memory;
pub mod pipeline;
pub mod produce;
pub mod progress;
pub mod quality;
pub mod settings;
pub mod silver;
