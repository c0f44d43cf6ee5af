//! Calendar arithmetic for Vox: the proleptic Gregorian calendar, ISO weeks,
//! recurrences, working days, interval sets and cron-like schedules.
//!
//! No time zones and no clock: all values are civil and are given by the caller.

pub mod business;
pub mod civil;
pub mod cron;
pub mod interval;
pub mod recur;
pub mod span;
pub mod week;

pub use civil::{Date, DateError, Weekday};
pub use interval::IntervalSet;

/// Seconds since the civil midnight that starts 1970-01-01.
pub type Stamp = i64;
