//! Planning for Vox pipelines.
//!
//! A pipeline is a set of named steps with dependencies. This crate orders
//! them, finds the critical path, simulates workers, estimates cost, and
//! supplies the retry and rate-limit rules that a runner needs. It never runs
//! anything and never reads a clock: times are passed in as milliseconds.

pub mod cost;
pub mod duration;
pub mod fingerprint;
pub mod graph;
pub mod limit;
pub mod retry;
pub mod schedule;

/// A point in time or a length of time, in milliseconds.
pub type Millis = u64;

pub use graph::{Plan, PlanError, Step};
