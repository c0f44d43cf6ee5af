//! Comments: `# line`, `## documentation` and `#[ block ]#`.

use crate::cursor::Cursor;

/// Moves the cursor past one comment and reports whether it was complete.
///
/// A line comment stops before its line break. Block comments nest, so
/// `#[ a #[ b ]# c ]#` is one comment; if the input ends while any level is
/// still open, everything is consumed and the result is `false`.
pub(crate) fn skip_comment(cursor: &mut Cursor<'_>) -> bool {
    if !cursor.rest().starts_with("#[") {
        cursor.take_while(|ch| ch != '\n' && ch != '\r');
        return true;
    }
    let mut depth = 0_usize;
    loop {
        match cursor.take_longest(&["#[", "]#"]) {
            Some("#[") => depth += 1,
            Some(_) => depth -= 1,
            None => {
                if cursor.bump().is_none() {
                    return false;
                }
            }
        }
        if depth == 0 {
            return true;
        }
    }
}

/// Extracts the documentation text from consecutive `##` lines.
///
/// `lines` are raw source lines. Reading stops at the first line that is not
/// a documentation comment. One blank after the marker is removed, further
/// indentation stays because it may be an example. Empty lines at both ends of
/// the text are dropped; the result is `None` if nothing remains.
#[must_use]
pub fn doc_text<'a, I>(lines: I) -> Option<String>
where
    I: IntoIterator<Item = &'a str>,
{
    let mut body: Vec<&str> = Vec::new();
    for line in lines {
        let Some(text) = line.trim_start().strip_prefix("##") else {
            break;
        };
        body.push(text.strip_prefix(' ').unwrap_or(text).trim_end());
    }
    let first = body.iter().position(|line| !line.is_empty())?;
    let last = body.iter().rposition(|line| !line.is_empty())?;
    Some(body[first..=last].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_blocks_close_in_pairs() {
        let mut cursor = Cursor::new("#[ a #[ b ]# c ]# tail");
        assert!(skip_comment(&mut cursor));
        assert_eq!(cursor.rest(), " tail");
        let mut open = Cursor::new("#[ a #[ b ]#");
        assert!(!skip_comment(&mut open));
        assert_eq!(open.rest(), "");
    }

    #[test]
    fn doc_text_stops_at_code() {
        let lines = ["##", "## Adds.", "##   a + b", "##", "fn add", "## no"];
        assert_eq!(doc_text(lines).as_deref(), Some("Adds.\n  a + b"));
        assert_eq!(doc_text(["fn add"]), None);
    }
}
