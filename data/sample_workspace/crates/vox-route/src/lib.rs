//! Routing for Vox web programs.
//!
//! Patterns such as `/users/{id:int}/files/{path*}` are parsed, ranked and
//! matched; the other modules decode the rest of a request: percent escapes,
//! query strings and a few headers.

pub mod header;
pub mod path;
pub mod pattern;
pub mod percent;
pub mod query;
pub mod router;

pub use pattern::{Pattern, Segment};
pub use router::Router;
