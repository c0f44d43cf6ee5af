//! Building blocks of the Vox tool server: JSON values, request framing,
//! argument checking and tool lookup. Transport and dispatch live elsewhere.

pub mod args;
pub mod cursor;
pub mod json;
pub mod registry;
pub mod rpc;
pub mod template;

pub use json::Value;
pub use registry::Registry;

/// Looks back over a text for its line and column at a byte offset.
///
/// Both count from one, the column in characters. Offsets past the end are
/// clipped, and one inside a character is moved back to its start.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |nl| nl + 1);
    (line, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        assert_eq!(line_and_column("ab\ncé", 4), (2, 2));
        assert_eq!(line_and_column("ab\ncé", 5), (2, 2));
        assert_eq!(line_and_column("", 9), (1, 1));
    }
}
