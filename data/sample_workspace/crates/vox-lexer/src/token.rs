//! Token kinds and a small visitor over token streams.

use crate::keyword::Keyword;
use crate::span::Span;

/// What a token is, without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A name that is not reserved.
    Ident,
    /// A reserved word.
    Keyword(Keyword),
    /// An integer or decimal literal, including a unit suffix.
    Number,
    /// A quoted string, escapes not yet resolved.
    Str,
    /// An operator or punctuation sign.
    Punct,
    /// An opening bracket: `(`, `[` or `{`.
    Open(char),
    /// A closing bracket: `)`, `]` or `}`.
    Close(char),
    /// A line or block comment.
    Comment,
    /// A line break that ends a statement.
    Newline,
    /// Text that could not be read, such as an unfinished string.
    Error,
}

/// A kind together with the place it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Classification of the token.
    pub kind: TokenKind,
    /// Bytes the token occupies.
    pub span: Span,
}

/// Receives tokens one by one while [`TokenVisitor::walk`] runs over a slice.
pub trait TokenVisitor {
    /// Called for each token that carries meaning, with the bracket depth.
    fn visit(&mut self, token: Token, depth: usize);

    /// Drives the visitor over `tokens` and tracks how deep brackets nest.
    ///
    /// Comments and line breaks are skipped. An opening bracket is reported at
    /// the depth outside it, as is its partner; a stray closing bracket leaves
    /// the depth at zero instead of wrapping around. The return value is the
    /// greatest depth reached.
    fn walk(&mut self, tokens: &[Token]) -> usize {
        let mut depth = 0_usize;
        let mut deepest = 0;
        for &token in tokens {
            match token.kind {
                TokenKind::Comment | TokenKind::Newline => {}
                TokenKind::Open(_) => {
                    self.visit(token, depth);
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                TokenKind::Close(_) => {
                    depth = depth.saturating_sub(1);
                    self.visit(token, depth);
                }
                _ => self.visit(token, depth),
            }
        }
        deepest
    }
}

/// Collects the names that occur outside all brackets, with their use counts.
#[derive(Debug, Default)]
pub struct TopLevelNames<'s> {
    source: &'s str,
    /// Names in order of first appearance.
    pub counts: Vec<(&'s str, usize)>,
}

impl<'s> TopLevelNames<'s> {
    #[must_use]
    pub fn new(source: &'s str) -> Self {
        TopLevelNames {
            source,
            counts: Vec::new(),
        }
    }
}

impl TokenVisitor for TopLevelNames<'_> {
    /// Counts an identifier if it stands at depth zero, ignoring the rest.
    ///
    /// A name seen before has its counter raised; a new one is appended, which
    /// keeps the list in order of first use.
    fn visit(&mut self, token: Token, depth: usize) {
        if depth > 0 || token.kind != TokenKind::Ident {
            return;
        }
        let name = token.span.text_in(self.source);
        match self.counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((name, 1)),
        }
    }
}

/// Drops comments and merges runs of line breaks into the first of each run.
///
/// Line breaks at the very start and end of the stream disappear as well, so
/// a parser can treat every remaining one as a separator between statements.
#[must_use]
pub fn significant(tokens: &[Token]) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    for &token in tokens {
        match token.kind {
            TokenKind::Comment => {}
            TokenKind::Newline => {
                let repeated = kept
                    .last()
                    .is_none_or(|last| last.kind == TokenKind::Newline);
                if !repeated {
                    kept.push(token);
                }
            }
            _ => kept.push(token),
        }
    }
    if kept.last().is_some_and(|t| t.kind == TokenKind::Newline) {
        kept.pop();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Lexer;

    #[test]
    fn walk_reports_depth_and_counts_names() {
        let source = "a (b [c]) a )";
        let tokens: Vec<Token> = Lexer::new(source).collect();
        let mut names = TopLevelNames::new(source);
        assert_eq!(names.walk(&tokens), 2);
        assert_eq!(names.counts, vec![("a", 2)]);
    }

    #[test]
    fn significant_trims_line_breaks() {
        let source = "\n\na # note\n\n\nb\n";
        let tokens: Vec<Token> = Lexer::new(source).collect();
        let kinds: Vec<TokenKind> = significant(&tokens).iter().map(|t| t.kind).collect();
        assert_eq!(
            kinds,
            vec![TokenKind::Ident, TokenKind::Newline, TokenKind::Ident]
        );
    }
}
