//! Byte ranges in a source file and their translation to lines and columns.

/// Half-open byte range `start..end` inside one source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset one past the last byte.
    pub end: usize,
}

/// One-based line and column, where a column counts characters, not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line number, starting at 1.
    pub line: usize,
    /// Character column, starting at 1.
    pub column: usize,
}

impl Span {
    /// Returns the smallest span that contains both `self` and `other`.
    ///
    /// An empty span contributes nothing: covering an empty span with another
    /// yields the other one unchanged, so a running cover can start from
    /// `0..0` without dragging its start back to the beginning of the file.
    #[must_use]
    pub const fn cover(self, other: Span) -> Span {
        if self.start == self.end {
            return other;
        }
        if other.start == other.end {
            return self;
        }
        let start = if self.start < other.start {
            self.start
        } else {
            other.start
        };
        let end = if self.end > other.end {
            self.end
        } else {
            other.end
        };
        Span { start, end }
    }

    /// Cuts the text of this span out of `source`, tolerating stale offsets.
    ///
    /// Offsets past the end are clamped, and an offset that falls inside a
    /// multi-byte character moves outward to the nearest boundary, so the
    /// result always contains every character the span touches. An inverted
    /// span gives the empty string.
    #[must_use]
    pub fn text_in<'s>(&self, source: &'s str) -> &'s str {
        let mut start = self.start.min(source.len());
        let mut end = self.end.min(source.len());
        if start >= end {
            return "";
        }
        while !source.is_char_boundary(start) {
            start -= 1;
        }
        while !source.is_char_boundary(end) {
            end += 1;
        }
        &source[start..end]
    }
}

/// Start offsets of every line in a file, for fast position queries.
#[derive(Clone, Debug)]
pub struct LineIndex {
    starts: Vec<usize>,
}

impl LineIndex {
    /// Scans `source` once and records where each line begins.
    ///
    /// A line ends at `\n`, at `\r\n` (counted once) or at a lone `\r`. The
    /// first line always starts at offset 0, so even an empty file has one line.
    #[must_use]
    pub fn new(source: &str) -> Self {
        let bytes = source.as_bytes();
        let mut starts = vec![0];
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'\n' => starts.push(at + 1),
                b'\r' if bytes.get(at + 1) != Some(&b'\n') => starts.push(at + 1),
                _ => {}
            }
            at += 1;
        }
        LineIndex { starts }
    }

    /// Translates a byte offset into a line and a character column.
    ///
    /// The line is found by binary search over the recorded starts; the column
    /// is one plus the number of characters between the line start and the
    /// offset. Offsets beyond the file report the position just after its end.
    #[must_use]
    pub fn position(&self, source: &str, offset: usize) -> Position {
        let offset = offset.min(source.len());
        let line = match self.starts.binary_search(&offset) {
            Ok(exact) => exact,
            Err(after) => after - 1,
        };
        let column = source[self.starts[line]..]
            .char_indices()
            .take_while(|(at, ch)| self.starts[line] + at + ch.len_utf8() <= offset)
            .count();
        Position {
            line: line + 1,
            column: column + 1,
        }
    }

    /// Finds the byte offset of a one-based position, the inverse of
    /// [`LineIndex::position`].
    ///
    /// `None` means the line does not exist or the column lies beyond the end
    /// of that line. The column just after the last character is accepted,
    /// because a cursor may rest there.
    #[must_use]
    pub fn offset(&self, source: &str, position: Position) -> Option<usize> {
        let line = position.line.checked_sub(1)?;
        let wanted = position.column.checked_sub(1)?;
        let start = *self.starts.get(line)?;
        let end = self.starts.get(line + 1).copied().unwrap_or(source.len());
        let text = source[start..end].trim_end_matches(['\r', '\n']);
        let mut boundaries = text.char_indices().map(|(at, _)| at);
        match boundaries.nth(wanted) {
            Some(at) => Some(start + at),
            None if wanted == text.chars().count() => Some(start + text.len()),
            None => None,
        }
    }

    /// Renders the line where `span` starts with a row of carets below it.
    ///
    /// The output has two lines: the source line behind a right-aligned line
    /// number, and a marker line whose carets sit under the characters of the
    /// span. A span that runs over several lines is underlined only to the end
    /// of its first one, and an empty span still gets a single caret. Tabs are
    /// copied into the marker line so that the columns agree in a terminal.
    #[must_use]
    pub fn underline(&self, source: &str, span: Span) -> String {
        let from = self.position(source, span.start);
        let line_start = self.starts[from.line - 1];
        let line_end = self.starts.get(from.line).copied().unwrap_or(source.len());
        let text = source[line_start..line_end].trim_end_matches(['\r', '\n']);
        let gutter = format!("{} | ", from.line);
        let padding: String = text
            .chars()
            .take(from.column - 1)
            .map(|ch| if ch == '\t' { '\t' } else { ' ' })
            .collect();
        let visible_end = span.end.min(line_start + text.len());
        let width = Span {
            start: span.start,
            end: visible_end,
        }
        .text_in(source)
        .chars()
        .count()
        .max(1);
        format!(
            "{gutter}{text}\n{}| {padding}{}",
            " ".repeat(gutter.len() - 2),
            "^".repeat(width)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cover_ignores_empty_spans() {
        let word = Span { start: 4, end: 9 };
        assert_eq!(Span { start: 0, end: 0 }.cover(word), word);
        assert_eq!(
            word.cover(Span { start: 12, end: 13 }),
            Span { start: 4, end: 13 }
        );
    }

    #[test]
    fn text_moves_to_character_boundaries() {
        let source = "aéb";
        assert_eq!(Span { start: 2, end: 3 }.text_in(source), "é");
        assert_eq!(Span { start: 3, end: 90 }.text_in(source), "b");
    }

    #[test]
    fn positions_round_trip_over_mixed_line_ends() {
        let source = "one\r\ntwo\rthrée\n";
        let index = LineIndex::new(source);
        let offset = source.find('e').unwrap();
        assert_eq!(
            index.position(source, offset),
            Position { line: 1, column: 3 }
        );
        let last = Position { line: 3, column: 5 };
        let at = index.offset(source, last).unwrap();
        assert_eq!(index.position(source, at), last);
        assert_eq!(index.offset(source, Position { line: 2, column: 9 }), None);
    }

    #[test]
    fn underline_places_carets() {
        let source = "let x\n\tfoo bar\n";
        let index = LineIndex::new(source);
        let drawn = index.underline(source, Span { start: 7, end: 10 });
        assert_eq!(drawn, "2 | \tfoo bar\n  | \t^^^");
    }
}
