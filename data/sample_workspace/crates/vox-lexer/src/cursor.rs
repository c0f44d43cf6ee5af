//! A forward-only reader over source text.

use crate::span::Span;
use crate::unicode_table::{in_ranges, CONTINUE_RANGES, LETTER_RANGES};

/// Reads characters from a string and remembers the byte offset.
///
/// Invariant: `at` never exceeds the length of `source` and always lies on a
/// character boundary.
#[derive(Clone, Debug)]
pub struct Cursor<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Cursor<'s> {
    #[must_use]
    pub fn new(source: &'s str) -> Self {
        Cursor { source, at: 0 }
    }

    #[inline]
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Borrows the text that has not been read yet.
    ///
    /// This is the hot path of the lexer, so the slice skips the boundary
    /// check that ordinary indexing performs; at the end of the source it is
    /// the empty string.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'s str {
        debug_assert!(self.source.is_char_boundary(self.at));
        // SAFETY: the type's invariant keeps `at` within the source and on a
        // character boundary; only this module can write the field.
        unsafe { self.source.get_unchecked(self.at..) }
    }

    /// Takes the next character, or `None` at the end of the input.
    ///
    /// The offset advances by the encoded length of the character, which keeps
    /// it on a boundary for the following read.
    pub fn bump(&mut self) -> Option<char> {
        let ch = self.rest().chars().next()?;
        self.at += ch.len_utf8();
        Some(ch)
    }

    /// Consumes characters for as long as `accept` returns true.
    ///
    /// The result is the consumed text, possibly empty. The first rejected
    /// character stays unread. `accept` is called once per character, in
    /// order, so a closure that keeps state (a counter, a previous character)
    /// sees every one of them exactly once.
    pub fn take_while<F>(&mut self, mut accept: F) -> &'s str
    where
        F: FnMut(char) -> bool,
    {
        let rest = self.rest();
        let length = rest
            .char_indices()
            .find(|&(_, ch)| !accept(ch))
            .map_or(rest.len(), |(at, _)| at);
        self.at += length;
        &rest[..length]
    }

    /// Consumes the longest of `candidates` that the unread text starts with.
    ///
    /// Order in the list does not matter: for `=` and `==` the longer operator
    /// wins whenever both fit. When none fits, or only empty strings do,
    /// nothing is consumed and the answer is `None`.
    pub fn take_longest<'c>(&mut self, candidates: &[&'c str]) -> Option<&'c str> {
        let rest = self.rest();
        let best = candidates
            .iter()
            .copied()
            .filter(|text| !text.is_empty() && rest.starts_with(text))
            .max_by_key(|text| text.len())?;
        self.at += best.len();
        Some(best)
    }

    /// Reads an identifier: a letter followed by letters, digits and marks.
    ///
    /// The character classes come from the generated Unicode table. A trailing
    /// `?` or `!` belongs to the name unless it is followed by `=`, so that
    /// `ready?` is one identifier while `a!=b` stays a comparison. Returns
    /// `None` and consumes nothing if the next character is not a letter.
    pub fn take_identifier(&mut self) -> Option<&'s str> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        if !in_ranges(first, LETTER_RANGES) {
            return None;
        }
        let start = self.at;
        self.take_while(|ch| in_ranges(ch, LETTER_RANGES) || in_ranges(ch, CONTINUE_RANGES));
        let mut after = self.rest().chars();
        if matches!(after.next(), Some('?' | '!')) && after.next() != Some('=') {
            self.at += 1;
        }
        Some(&rest[..self.at - start])
    }

    /// Runs `read` and rolls the cursor back if it fails.
    ///
    /// On `Some` the cursor stays where the closure left it, and the value is
    /// paired with the span that was consumed. On `None` the offset is restored,
    /// so a caller can try several alternatives one after another.
    pub fn attempt<T, F>(&mut self, read: F) -> Option<(T, Span)>
    where
        F: FnOnce(&mut Self) -> Option<T>,
    {
        let start = self.at;
        match read(self) {
            Some(value) => Some((
                value,
                Span {
                    start,
                    end: self.at,
                },
            )),
            None => {
                self.at = start;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_keep_question_marks_but_not_comparisons() {
        let mut cursor = Cursor::new("ready?!=x");
        assert_eq!(cursor.take_identifier(), Some("ready?"));
        let mut cursor = Cursor::new("größe!=1");
        assert_eq!(cursor.take_identifier(), Some("größe"));
        assert_eq!(cursor.take_longest(&["!", "!=", "="]), Some("!="));
        assert_eq!(cursor.take_identifier(), None);
    }

    #[test]
    fn failed_attempts_restore_the_offset() {
        let mut cursor = Cursor::new("ab1");
        let failed = cursor.attempt(|inner| {
            inner.bump()?;
            inner.bump()?;
            inner.bump().filter(char::is_ascii_alphabetic)
        });
        assert!(failed.is_none());
        assert_eq!(cursor.offset(), 0);
        let (word, span) = cursor.attempt(Cursor::take_identifier).unwrap();
        assert_eq!((word, span), ("ab1", Span { start: 0, end: 3 }));
    }
}
