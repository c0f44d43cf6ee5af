//! Spelling suggestions for unknown names.

/// Computes the edit distance between two words, giving up above `limit`.
///
/// Insertions, deletions, substitutions and swaps of neighbours each cost one
/// (a pair that was swapped is not edited again). Only three rows of the table
/// are kept. As soon as a whole row exceeds `limit` the words are too far
/// apart and the answer is `None`.
///
/// # Examples
///
/// ```
/// use vox_lexer::suggest::edit_distance;
/// assert_eq!(edit_distance("lenght", "length", 2), Some(1));
/// assert_eq!(edit_distance("alpha", "omega", 2), None);
/// ```
#[must_use]
pub fn edit_distance(left: &str, right: &str, limit: usize) -> Option<usize> {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let mut before: Vec<usize> = vec![0; right.len() + 1];
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, &a) in left.iter().enumerate() {
        let mut row = Vec::with_capacity(right.len() + 1);
        row.push(i + 1);
        for (j, &b) in right.iter().enumerate() {
            let substituted = above[j] + usize::from(a != b);
            let mut cost = substituted.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == right[j - 1] && left[i - 1] == b {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        if row.iter().all(|&cost| cost > limit) {
            return None;
        }
        before = std::mem::replace(&mut above, row);
    }
    Some(above[right.len()]).filter(|&cost| cost <= limit)
}

/// Picks up to `count` known names that the misspelt `word` may have meant.
///
/// The tolerance grows with length: one edit per three characters, at least
/// one. A name that differs only in case is always considered, as distance
/// zero. Results are ordered by distance and then alphabetically; the exact
/// word itself is never suggested.
#[must_use]
pub fn suggest<'n, I>(word: &str, known: I, count: usize) -> Vec<&'n str>
where
    I: IntoIterator<Item = &'n str>,
{
    let limit = (word.chars().count() / 3).max(1);
    let folded = word.to_lowercase();
    let mut ranked: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|name| *name != word)
        .filter_map(|name| {
            let distance = if name.to_lowercase() == folded {
                0
            } else {
                edit_distance(word, name, limit)?
            };
            Some((distance, name))
        })
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked.truncate(count);
    ranked.into_iter().map(|(_, name)| name).collect()
}

/// Breaks an identifier into its lower-case words.
///
/// Boundaries are underscores, hyphens, a lower-case letter or digit followed
/// by an upper-case one, and the last capital of a run that continues in lower
/// case: `parseHTTPHeader_v2` has the words parse, http, header and v2.
#[must_use]
pub fn words(identifier: &str) -> Vec<String> {
    let chars: Vec<char> = identifier.chars().collect();
    let mut found = Vec::new();
    let mut current = String::new();
    for (at, &ch) in chars.iter().enumerate() {
        if ch == '_' || ch == '-' {
            if !current.is_empty() {
                found.push(std::mem::take(&mut current));
            }
            continue;
        }
        let after_lower = at > 0 && (chars[at - 1].is_lowercase() || chars[at - 1].is_numeric());
        let before_lower = chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if ch.is_uppercase() && !current.is_empty() && (after_lower || before_lower) {
            found.push(std::mem::take(&mut current));
        }
        current.extend(ch.to_lowercase());
    }
    if !current.is_empty() {
        found.push(current);
    }
    found
}

/// Scores how well the words of two identifiers overlap, from 0 to 100.
///
/// This catches names built from the same words in another order, which edit
/// distance misses. The score is twice the number of shared words over the
/// total number of words, as a rounded-down percentage; each word can be
/// shared only once. Two names without words score zero.
#[must_use]
pub fn word_overlap(left: &str, right: &str) -> u32 {
    let left = words(left);
    let mut remaining = words(right);
    let total = left.len() + remaining.len();
    if total == 0 {
        return 0;
    }
    let mut shared = 0_usize;
    for word in &left {
        if let Some(at) = remaining.iter().position(|other| other == word) {
            remaining.swap_remove(at);
            shared += 1;
        }
    }
    u32::try_from(200 * shared / total).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swaps_cost_one() {
        assert_eq!(edit_distance("abcd", "acbd", 3), Some(1));
        assert_eq!(edit_distance("", "ab", 2), Some(2));
        assert_eq!(edit_distance("same", "same", 0), Some(0));
    }

    #[test]
    fn suggestions_are_ranked() {
        let known = ["column", "Colour", "colour", "count", "colours"];
        assert_eq!(suggest("colour", known, 2), ["Colour", "colours"]);
        assert_eq!(suggest("zzz", known, 3), Vec::<&str>::new());
    }

    #[test]
    fn words_follow_case_changes() {
        assert_eq!(
            words("parseHTTPHeader_v2"),
            ["parse", "http", "header", "v2"]
        );
        assert_eq!(word_overlap("row_count", "countRows"), 50);
        assert_eq!(word_overlap("a_b", "b_a"), 100);
    }
}
