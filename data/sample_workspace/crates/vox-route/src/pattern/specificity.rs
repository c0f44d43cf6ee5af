//! Ranking of patterns that match the same paths.

use std::cmp::Ordering;

use super::{Pattern, Segment, Shape};

const fn weight(segment: &Segment) -> u8 {
    match segment {
        Segment::Fixed(_) => 4,
        Segment::Capture(_, Shape::Int) => 3,
        Segment::Capture(_, Shape::Slug) => 2,
        Segment::Capture(_, Shape::Any) => 1,
        Segment::Rest(_) => 0,
    }
}

/// Orders two patterns from the more specific to the less specific one.
///
/// Segments are compared from the left: literal text before `int`, before
/// `slug`, before a free capture, before a rest capture. If one pattern is a
/// prefix of the other, the one that ends without a rest is more specific
/// than a rest, and otherwise the longer one goes first. Names play no role,
/// so patterns that differ only in names are equal.
#[must_use]
pub fn compare(left: &Pattern, right: &Pattern) -> Ordering {
    let pairs = left.segments.iter().zip(&right.segments);
    for (a, b) in pairs {
        let order = weight(b).cmp(&weight(a));
        if order.is_ne() {
            return order;
        }
    }
    let count = left.segments.len().min(right.segments.len());
    match (left.segments.get(count), right.segments.get(count)) {
        (None, None) => Ordering::Equal,
        (None, Some(Segment::Rest(_))) => Ordering::Less,
        (Some(Segment::Rest(_)), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(_), Some(_)) => Ordering::Equal,
    }
}

/// Decides whether some path matches both patterns.
///
/// Two segments are compatible if they are equal literals, if a literal has
/// the shape of the capture, or if both are captures (any two shapes share a
/// text such as `7`). A rest capture is compatible with whatever follows,
/// including nothing.
#[must_use]
pub fn overlaps(left: &Pattern, right: &Pattern) -> bool {
    let (mut a, mut b) = (left.segments.iter(), right.segments.iter());
    loop {
        match (a.next(), b.next()) {
            (Some(Segment::Rest(_)), _) | (_, Some(Segment::Rest(_))) => return true,
            (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some(Segment::Fixed(x)), Some(Segment::Fixed(y))) if x != y => return false,
            (Some(Segment::Fixed(text)), Some(Segment::Capture(_, shape)))
            | (Some(Segment::Capture(_, shape)), Some(Segment::Fixed(text)))
                if !shape.accepts(text) =>
            {
                return false
            }
            _ => {}
        }
    }
}

/// Lists the pairs of patterns whose order of declaration would matter.
///
/// Such a pair overlaps and is equally specific, so neither is the better
/// match. Each conflict is reported once, as indices with the smaller first.
#[must_use]
pub fn conflicts(patterns: &[Pattern]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, left) in patterns.iter().enumerate() {
        for (offset, right) in patterns[at + 1..].iter().enumerate() {
            if compare(left, right).is_eq() && overlaps(left, right) {
                found.push((at, at + 1 + offset));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn literals_come_first() {
        let mut all = [
            "/{rest*}",
            "/users",
            "/users/{name}",
            "/users/{id:int}",
            "/users/me",
            "/",
        ]
        .map(pattern);
        all.sort_by(compare);
        let expected = [
            "/users/me",
            "/users/{id:int}",
            "/users/{name}",
            "/users",
            "/",
            "/{rest*}",
        ]
        .map(pattern);
        assert_eq!(all, expected);
    }

    #[test]
    fn overlap_respects_shapes() {
        assert!(!overlaps(&pattern("/a/{n:int}"), &pattern("/a/me")));
        assert!(overlaps(&pattern("/a/{n:slug}"), &pattern("/a/me")));
        assert!(overlaps(&pattern("/{r*}"), &pattern("/a/b/c")));
        assert!(!overlaps(&pattern("/a"), &pattern("/a/{x}")));
    }

    #[test]
    fn conflicts_need_equal_rank() {
        let all = ["/a/{x}", "/{y}/b", "/a/{z}"].map(pattern);
        assert_eq!(conflicts(&all), [(0, 2)]);
    }
}
