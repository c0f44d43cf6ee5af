//! Differences between two sequences.

mod distance;
mod script;

pub use distance::{bounded_distance, jaro_winkler, longest_common_substring};
pub use script::{apply_script, edit_script, group_hunks, Edit, Hunk, ScriptError};
