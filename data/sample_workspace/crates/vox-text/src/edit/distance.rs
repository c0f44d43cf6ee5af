//! How far two strings are apart.

/// Counts the insertions, deletions and substitutions between two strings,
/// giving up as soon as more than `limit` are certain.
///
/// Only a diagonal band of the dynamic-programming table is filled, so the work
/// grows with `limit` rather than with the product of the lengths. The result
/// is `None` when the distance is larger than `limit`.
#[must_use]
pub fn bounded_distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let limit = limit.min(a.len().max(b.len()));
    let far = limit + 1;
    let mut prev: Vec<usize> = (0..=b.len()).map(|j| j.min(far)).collect();
    for i in 1..=a.len() {
        let lo = i.saturating_sub(limit).max(1);
        let hi = (i + limit).min(b.len());
        let mut row = vec![far; b.len() + 1];
        row[0] = i.min(far);
        for j in lo..=hi {
            let swap = prev[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = swap.min(prev[j] + 1).min(row[j - 1] + 1).min(far);
        }
        if row.iter().all(|&d| d > limit) {
            return None;
        }
        prev = row;
    }
    prev.last().copied().filter(|&d| d <= limit)
}

/// Scores the likeness of two short names between 0.0 and 1.0.
///
/// This is the Jaro measure with Winkler's bonus of a tenth of the remaining
/// gap for each of up to four shared leading characters. Two empty strings are
/// identical (1.0); one empty string against a non-empty one scores 0.0.
pub fn jaro_winkler(a: &str, b: &str) -> f64 {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    if a.is_empty() || b.is_empty() {
        return if a.len() == b.len() { 1.0 } else { 0.0 };
    }
    let reach = (a.len().max(b.len()) / 2).saturating_sub(1);
    let mut taken = vec![false; b.len()];
    let mut from_a = Vec::new();
    for (i, &c) in a.iter().enumerate() {
        let hi = (i + reach + 1).min(b.len());
        let hit = (i.saturating_sub(reach)..hi).find(|&j| !taken[j] && b[j] == c);
        if let Some(j) = hit {
            taken[j] = true;
            from_a.push(c);
        }
    }
    if from_a.is_empty() {
        return 0.0;
    }
    let from_b = b.iter().zip(&taken).filter(|(_, &t)| t).map(|(c, _)| c);
    let moved = from_a.iter().zip(from_b).filter(|(x, y)| x != y).count();
    let m = from_a.len() as f64;
    let jaro = (m / a.len() as f64 + m / b.len() as f64 + (m - moved as f64 / 2.0) / m) / 3.0;
    let lead = a.iter().zip(&b).take(4).take_while(|(x, y)| x == y).count();
    jaro + lead as f64 * 0.1 * (1.0 - jaro)
}

/// Finds the longest run of characters present in both strings.
///
/// The answer is a slice of `a`; among runs of equal length the one that ends
/// first in `a` is chosen. Strings with nothing in common give an empty slice.
/// Time is proportional to the product of the lengths, memory to one of them.
pub fn longest_common_substring<'a>(a: &'a str, b: &str) -> &'a str {
    let b: Vec<char> = b.chars().collect();
    let mut prev = vec![0usize; b.len() + 1];
    let mut starts = Vec::new();
    let mut best = (0, 0, 0);
    for (i, (at, c)) in a.char_indices().enumerate() {
        starts.push(at);
        let mut row = vec![0usize; b.len() + 1];
        for (j, &d) in b.iter().enumerate() {
            if c == d {
                row[j + 1] = prev[j] + 1;
                if row[j + 1] > best.0 {
                    best = (row[j + 1], starts[i + 1 - row[j + 1]], at + c.len_utf8());
                }
            }
        }
        prev = row;
    }
    &a[best.1..best.2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_within_the_bound() {
        assert_eq!(bounded_distance("kitten", "sitting", 3), Some(3));
        assert_eq!(bounded_distance("kitten", "sitting", 2), None);
        assert_eq!(bounded_distance("", "", 0), Some(0));
        assert_eq!(bounded_distance("abc", "", 3), Some(3));
        assert_eq!(bounded_distance("abc", "xyz", usize::MAX), Some(3));
    }

    #[test]
    fn similarity_scores() {
        assert!((jaro_winkler("martha", "marhta") - 0.9611).abs() < 1e-3);
        assert_eq!(jaro_winkler("", "x"), 0.0);
        assert_eq!(jaro_winkler("ab", "ab"), 1.0);
    }

    #[test]
    fn common_runs() {
        assert_eq!(longest_common_substring("die Röhre", "Höhröhr"), "öhr");
        assert_eq!(longest_common_substring("abc", "xyz"), "");
    }
}
