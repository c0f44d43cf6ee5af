//! Indentation: from line starts to block structure.

/// A line's indentation turned into block events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The line begins a deeper block.
    Indent,
    /// The line closes one block; several may precede a line.
    Dedent,
    /// The line at this zero-based number continues the current block.
    Line(usize),
}

/// An indentation that fits no open block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutError {
    /// Zero-based line number.
    pub line: usize,
    /// Width of the offending indentation.
    pub width: usize,
}

/// Measures the indentation of a line in columns.
///
/// A space advances by one; a tab advances to the next multiple of
/// `tab_size` (a size of zero is treated as one). `None` stands for a line
/// without content, either blank or only a `#` comment, which must not affect
/// the block structure.
#[must_use]
pub fn indent_width(line: &str, tab_size: usize) -> Option<usize> {
    let tab_size = tab_size.max(1);
    let mut width = 0;
    for ch in line.chars() {
        match ch {
            ' ' => width += 1,
            '\t' => width += tab_size - width % tab_size,
            '#' | '\r' | '\n' => return None,
            _ => return Some(width),
        }
    }
    None
}

/// Derives indent and dedent events for a whole source text.
///
/// The algorithm keeps a stack of the widths of open blocks. A wider line
/// pushes and emits [`Layout::Indent`]; a narrower one pops until the widths
/// agree, emitting one [`Layout::Dedent`] per level. All blocks still open at
/// the end are closed, so indents and dedents always balance.
///
/// # Errors
///
/// A line that returns to a width no open block has is rejected, because it is
/// unclear which block it should continue.
pub fn layout(source: &str, tab_size: usize) -> Result<Vec<Layout>, LayoutError> {
    let mut open = vec![0_usize];
    let mut events = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let Some(width) = indent_width(line, tab_size) else {
            continue;
        };
        if width > open[open.len() - 1] {
            open.push(width);
            events.push(Layout::Indent);
        }
        while open.len() > 1 && width < open[open.len() - 1] {
            open.pop();
            events.push(Layout::Dedent);
        }
        if width != open[open.len() - 1] {
            return Err(LayoutError {
                line: number,
                width,
            });
        }
        events.push(Layout::Line(number));
    }
    events.extend(open.iter().skip(1).map(|_| Layout::Dedent));
    Ok(events)
}

/// Guesses the indentation step of a file from the widths it uses.
///
/// Each increase from one content line to the next votes for its size; the
/// most frequent size wins, and the smaller one on a tie. Files that never
/// indent give `None`.
#[must_use]
pub fn guess_step(source: &str) -> Option<usize> {
    let mut votes: Vec<(usize, usize)> = Vec::new();
    let mut previous = 0;
    for width in source.lines().filter_map(|line| indent_width(line, 4)) {
        if width > previous {
            let step = width - previous;
            match votes.iter_mut().find(|(size, _)| *size == step) {
                Some((_, count)) => *count += 1,
                None => votes.push((step, 1)),
            }
        }
        previous = width;
    }
    votes
        .into_iter()
        .max_by(|left, right| left.1.cmp(&right.1).then(right.0.cmp(&left.0)))
        .map(|(step, _)| step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_advance_to_stops() {
        assert_eq!(indent_width("  \tx", 4), Some(4));
        assert_eq!(indent_width("\t x", 8), Some(9));
        assert_eq!(indent_width("   # note", 4), None);
    }

    #[test]
    fn events_balance() {
        use Layout::{Dedent, Indent, Line};
        let events = layout("a\n  b\n\n    c\nd\n  e", 4).unwrap();
        assert_eq!(
            events,
            vec![
                Line(0),
                Indent,
                Line(1),
                Indent,
                Line(3),
                Dedent,
                Dedent,
                Line(4),
                Indent,
                Line(5),
                Dedent
            ]
        );
    }

    #[test]
    fn odd_returns_are_rejected() {
        assert_eq!(
            layout("a\n    b\n  c", 4),
            Err(LayoutError { line: 2, width: 2 })
        );
    }

    #[test]
    fn most_common_step_wins() {
        assert_eq!(guess_step("a\n  b\n  c\nd\n  e\nf\n    g"), Some(2));
        assert_eq!(guess_step("a\nb"), None);
    }
}
