//! Line filling and whitespace layout.

/// Fills paragraphs greedily so that no line is longer than `width` columns.
///
/// Words are runs of non-whitespace; each line takes as many words as fit,
/// joined by one space. A word longer than `width` is cut into pieces of
/// exactly `width` characters. A `width` of zero is treated as one. Text with
/// no words yields no lines.
///
/// # Examples
///
/// ```
/// use vox_text::wrap::wrap_greedy;
/// assert_eq!(wrap_greedy("say the word twice", 8), ["say the", "word", "twice"]);
/// ```
#[must_use]
pub fn wrap_greedy(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let chars: Vec<char> = word.chars().collect();
        for piece in chars.chunks(width) {
            let gap = usize::from(used > 0);
            if used + gap + piece.len() > width {
                lines.push(std::mem::take(&mut current));
                used = 0;
            } else if gap == 1 {
                current.push(' ');
                used += 1;
            }
            current.extend(piece.iter());
            used += piece.len();
        }
    }
    if used > 0 {
        lines.push(current);
    }
    lines
}

/// Breaks a paragraph so that the right margin is as even as possible.
///
/// Dynamic programming picks the breaks that minimise the sum of squared
/// trailing blanks over all lines but the last. Words wider than `width` stand
/// alone on an overlong line at no cost. When two layouts cost the same, the
/// one whose first line is shorter wins.
#[must_use]
pub fn wrap_balanced(text: &str, width: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let lens: Vec<usize> = words.iter().map(|w| w.chars().count()).collect();
    let n = words.len();
    let mut best = vec![u64::MAX; n + 1];
    let mut next_break = vec![n; n + 1];
    best[n] = 0;
    for start in (0..n).rev() {
        let mut line = 0;
        for end in start + 1..=n {
            line += lens[end - 1] + usize::from(end > start + 1);
            if line > width && end > start + 1 {
                break;
            }
            let slack = width.saturating_sub(line) as u64;
            let cost = if end == n { 0 } else { slack * slack };
            let total = best[end].saturating_add(cost);
            if total < best[start] {
                best[start] = total;
                next_break[start] = end;
            }
        }
    }
    let mut lines = Vec::new();
    let mut at = 0;
    while at < n {
        lines.push(words[at..next_break[at]].join(" "));
        at = next_break[at];
    }
    lines
}

/// Removes the leading whitespace that all non-blank lines share.
///
/// The margin is compared character by character, so a tab never matches a
/// space. Lines that hold only whitespace do not take part in finding the
/// margin and come out empty. Line endings are normalised to `\n`, and a final
/// newline is kept if the input had one.
///
/// # Examples
///
/// ```
/// use vox_text::wrap::dedent;
/// assert_eq!(dedent("    if on\n      speak\n"), "if on\n  speak\n");
/// ```
#[must_use]
pub fn dedent(text: &str) -> String {
    let mut margin: Option<&str> = None;
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let indent = &line[..line.len() - line.trim_start().len()];
        margin = Some(match margin {
            None => indent,
            Some(m) => &m[..shared_prefix(m, indent)],
        });
    }
    let cut = margin.map_or(0, str::len);
    let mut out = String::with_capacity(text.len());
    for (i, line) in text.lines().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if !line.trim().is_empty() {
            out.push_str(&line[cut..]);
        }
    }
    if text.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn shared_prefix(a: &str, b: &str) -> usize {
    a.char_indices()
        .zip(b.chars())
        .find(|((_, x), y)| x != y)
        .map_or(a.len().min(b.len()), |((at, _), _)| at)
}

/// Lays out a label and its explanation with a hanging indent.
///
/// The label starts the first line; the explanation begins at column `indent`
/// and wraps at `width`, later lines being indented to the same column. A label
/// that leaves less than one blank before that column gets a line of its own.
/// If `indent` leaves no room, explanations are one character wide.
pub fn hanging_indent(label: &str, body: &str, indent: usize, width: usize) -> String {
    let room = width.saturating_sub(indent).max(1);
    let pad = " ".repeat(indent);
    let label_len = label.chars().count();
    let mut out = String::from(label);
    let mut lines = wrap_greedy(body, room).into_iter();
    if label_len < indent {
        if let Some(first) = lines.next() {
            out.push_str(&" ".repeat(indent - label_len));
            out.push_str(&first);
        }
    }
    for line in lines {
        out.push('\n');
        out.push_str(&pad);
        out.push_str(&line);
    }
    out
}

/// Squeezes runs of blank lines down to at most `keep` of them.
///
/// A line counts as blank when it holds only whitespace; kept blank lines are
/// emitted without that whitespace. Blank lines at the very start and the very
/// end are dropped altogether. Non-empty output always ends in one newline.
pub fn collapse_blank_lines(text: &str, keep: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pending = 0;
    for line in text.lines() {
        if line.trim().is_empty() {
            pending += 1;
            continue;
        }
        if !out.is_empty() {
            for _ in 0..pending.min(keep) {
                out.push('\n');
            }
        }
        pending = 0;
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// Replaces each tab by the blanks needed to reach the next tab stop.
///
/// Stops lie at every multiple of `stop` columns, counted afresh on each line.
/// When `stop` is zero tabs vanish. A carriage return does not move the column.
#[must_use]
pub fn expand_tabs(text: &str, stop: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' => {
                let fill = if stop == 0 { 0 } else { stop - column % stop };
                out.extend(std::iter::repeat_n(' ', fill));
                column += fill;
            }
            '\n' => {
                out.push(c);
                column = 0;
            }
            '\r' => out.push(c),
            _ => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

/// Shortens a line to `width` columns by cutting out its middle.
///
/// The removed part is replaced by `mark`; the head keeps the extra character
/// when the remaining room is odd. A line that already fits is returned
/// unchanged, and if even the mark does not fit, the mark itself is cut.
pub fn ellipsize_middle(line: &str, width: usize, mark: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    if chars.len() <= width {
        return line.to_owned();
    }
    let mark_len = mark.chars().count();
    if mark_len >= width {
        return mark.chars().take(width).collect();
    }
    let room = width - mark_len;
    let head = room - room / 2;
    let tail = chars.len() - room / 2;
    let mut out: String = chars[..head].iter().collect();
    out.push_str(mark);
    out.extend(&chars[tail..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_cuts_long_words() {
        assert_eq!(wrap_greedy("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert!(wrap_greedy("  \n ", 10).is_empty());
    }

    #[test]
    fn balanced_evens_the_margin() {
        let text = "aaa bb cc ddddd";
        assert_eq!(wrap_greedy(text, 6), ["aaa bb", "cc", "ddddd"]);
        assert_eq!(wrap_balanced(text, 6), ["aaa", "bb cc", "ddddd"]);
    }

    #[test]
    fn greedy_lines_never_exceed_the_width() {
        for seed in 1..30 {
            let text = crate::seeded_text(seed, 120, &['a', 'b', ' ', 'é']);
            assert!(wrap_greedy(&text, 9).iter().all(|l| l.chars().count() <= 9));
        }
    }

    #[test]
    fn dedent_skips_blank_lines() {
        assert_eq!(dedent("  a\n \n   b"), "a\n\n b");
        assert_eq!(dedent("\ta\n  b"), "\ta\n  b");
    }

    #[test]
    fn hanging_layouts() {
        assert_eq!(
            hanging_indent("-q", "be quiet now", 4, 12),
            "-q  be quiet\n    now"
        );
        assert_eq!(hanging_indent("--long", "x", 4, 12), "--long\n    x");
    }

    #[test]
    fn blank_and_tab_helpers() {
        assert_eq!(collapse_blank_lines("\n\na\n \n\n\nb\n\n", 1), "a\n\nb\n");
        assert_eq!(expand_tabs("a\tb\n\tc", 4), "a   b\n    c");
        assert_eq!(ellipsize_middle("abcdefghij", 7, "..."), "ab...ij");
        assert_eq!(ellipsize_middle("abcdef", 2, "..."), "..");
    }
}
