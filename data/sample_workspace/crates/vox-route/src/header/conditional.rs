//! Entity tags and byte ranges.

use std::ops::Range;

/// Why a `Range` header is not honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// The header is malformed and should be ignored.
    Malformed,
    /// All ranges lie beyond the end of the content.
    Unsatisfiable,
}

/// Resolves a `Range: bytes=...` header against a content length.
///
/// The forms `a-b` (inclusive), `a-` and `-n` (the last n bytes) are
/// understood. Ends are clamped to the length; ranges that start beyond it are
/// dropped. The surviving half-open ranges are sorted and merged where they
/// overlap or touch.
///
/// # Errors
///
/// Syntax faults and reversed ranges are malformed; if no range survives the
/// request is unsatisfiable.
pub fn parse_ranges(header: &str, length: u64) -> Result<Vec<Range<u64>>, RangeError> {
    let list = header
        .trim()
        .strip_prefix("bytes=")
        .ok_or(RangeError::Malformed)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| RangeError::Malformed);
    let mut ranges = Vec::new();
    for item in list.split(',').map(str::trim) {
        let range = match item.split_once('-').ok_or(RangeError::Malformed)? {
            ("", count) => length.saturating_sub(number(count)?)..length,
            (first, "") => number(first)?..length,
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return Err(RangeError::Malformed);
                }
                first..last.saturating_add(1).min(length)
            }
        };
        if range.start < range.end {
            ranges.push(range);
        }
    }
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    if merged.is_empty() {
        return Err(RangeError::Unsatisfiable);
    }
    Ok(merged)
}

/// Splits a list of entity tags into pairs of weakness flag and opaque text.
///
/// Tags look like `"abc"` or `W/"abc"` and are separated by commas, which may
/// also occur inside the quotes. Reading stops silently at the first malformed
/// tag, keeping those before it.
#[must_use]
pub fn entity_tags(header: &str) -> Vec<(bool, &str)> {
    let mut tags = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let Some(body) = quoted.strip_prefix('"') else {
            break;
        };
        let Some(close) = body.find('"') else {
            break;
        };
        tags.push((weak, &body[..close]));
        rest = body[close + 1..].trim_start_matches([' ', ',']);
    }
    tags
}

/** Decides whether an `If-None-Match` header allows the answer "not modified".

The current tag is given without quotes. The comparison is weak: the `W/` mark
plays no role. A lone `*` matches any existing entity, that is, whenever there
is a current tag; without one nothing matches.
*/
#[must_use]
pub fn not_modified(header: &str, current: Option<&str>) -> bool {
    let Some(current) = current else {
        return false;
    };
    if header.trim() == "*" {
        return true;
    }
    entity_tags(header)
        .iter()
        .any(|(_, opaque)| *opaque == current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_and_merged() {
        let merged = parse_ranges("bytes=0-4, 5-9, -3, 90-99", 20);
        assert_eq!(merged, Ok(vec![0..10, 17..20]));
        let suffix = parse_ranges("bytes=-50", 20).unwrap();
        assert_eq!((suffix.len(), suffix[0].clone()), (1, 0..20));
        assert_eq!(
            parse_ranges("bytes=20-", 20),
            Err(RangeError::Unsatisfiable)
        );
        assert_eq!(parse_ranges("bytes=9-3", 20), Err(RangeError::Malformed));
        assert_eq!(parse_ranges("lines=1-2", 20), Err(RangeError::Malformed));
    }

    #[test]
    fn tags_may_contain_commas() {
        assert_eq!(
            entity_tags(r#""a,b", W/"c", broken"#),
            [(false, "a,b"), (true, "c")]
        );
    }

    #[test]
    fn weak_comparison_and_wildcard() {
        assert!(not_modified(r#"W/"v1""#, Some("v1")));
        assert!(not_modified(" * ", Some("v1")));
        assert!(!not_modified("*", None));
        assert!(!not_modified(r#""v2""#, Some("v1")));
    }
}
