//! Small in-memory tables for Vox.
//!
//! Rows hold dynamically typed [`Value`]s. The modules cover reading and
//! writing delimited text, statistics, predicates with pushdown, sorted
//! indexes, joins, grouping and row differences.

pub mod csv;
pub mod diff;
pub mod group;
pub mod index;
pub mod join;
pub mod predicate;
pub mod stats;
pub mod table;
pub mod value;

pub use predicate::Predicate;
pub use table::{Row, Table, TableError};
pub use value::Value;
