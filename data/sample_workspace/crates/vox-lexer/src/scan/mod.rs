//! The token scanner.
//!
//! [`Lexer`] is an iterator; the literal forms live in the submodules.

pub mod comment;
pub mod number;
pub mod string;

use crate::cursor::Cursor;
use crate::keyword::Keyword;
use crate::span::Span;
use crate::token::{Token, TokenKind};

const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "=", "==", "!=", "<", "<=", ">", ">=", "->", "=>", "|>", "|", "&",
    "!", "?", ".", "..", ",", ":", ";", "@",
];

/// Splits Vox source into tokens.
///
/// Blanks are skipped, comments and line breaks are kept. The lexer never
/// fails: text it cannot read becomes a [`TokenKind::Error`] token and
/// scanning goes on behind it.
#[derive(Clone, Debug)]
pub struct Lexer<'s> {
    cursor: Cursor<'s>,
}

impl<'s> Lexer<'s> {
    #[must_use]
    pub fn new(source: &'s str) -> Self {
        Lexer {
            cursor: Cursor::new(source),
        }
    }

    /// Reads one token whose first character is `first`, not yet consumed.
    ///
    /// The order of the tests settles every ambiguity: comments before
    /// operators, numbers before names, brackets before punctuation. The kind
    /// of an identifier changes to a keyword when its spelling is reserved. A
    /// character that fits nothing is consumed alone and reported as an error.
    fn read_kind(&mut self, first: char) -> TokenKind {
        let cursor = &mut self.cursor;
        match first {
            '\n' | '\r' => {
                cursor.take_longest(&["\r\n", "\n", "\r"]);
                TokenKind::Newline
            }
            '#' => match comment::skip_comment(cursor) {
                true => TokenKind::Comment,
                false => TokenKind::Error,
            },
            '"' => match string::skip_string(cursor) {
                true => TokenKind::Str,
                false => TokenKind::Error,
            },
            '0'..='9' => {
                number::skip_number(cursor);
                TokenKind::Number
            }
            '(' | '[' | '{' => {
                cursor.bump();
                TokenKind::Open(first)
            }
            ')' | ']' | '}' => {
                cursor.bump();
                TokenKind::Close(first)
            }
            _ => {
                if let Some(name) = cursor.take_identifier() {
                    return Keyword::parse(name).map_or(TokenKind::Ident, TokenKind::Keyword);
                }
                if cursor.take_longest(OPERATORS).is_some() {
                    return TokenKind::Punct;
                }
                cursor.bump();
                TokenKind::Error
            }
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    /// Skips blanks and yields the next token, or `None` when only blanks are
    /// left.
    ///
    /// Spaces, tabs and the byte order mark count as blanks. Every call that
    /// returns a token consumes at least one character, so iteration ends.
    fn next(&mut self) -> Option<Token> {
        self.cursor
            .take_while(|ch| matches!(ch, ' ' | '\t' | '\u{feff}'));
        let start = self.cursor.offset();
        let first = self.cursor.rest().chars().next()?;
        let kind = self.read_kind(first);
        let end = self.cursor.offset();
        debug_assert!(end > start);
        Some(Token {
            kind,
            span: Span { start, end },
        })
    }
}

/// Yields the distinct names used in `source`, in order of first use.
///
/// Keywords are not names. The iterator is lazy with respect to the source:
/// it lexes only as far as the caller reads.
pub fn distinct_names(source: &str) -> impl Iterator<Item = &str> + '_ {
    let mut seen: Vec<&str> = Vec::new();
    Lexer::new(source).filter_map(move |token| {
        if token.kind != TokenKind::Ident {
            return None;
        }
        let name = token.span.text_in(source);
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        Lexer::new(source).map(|t| t.span.text_in(source)).collect()
    }

    #[test]
    fn splits_a_statement() {
        assert_eq!(
            texts("let d = 5km|>round(2)"),
            ["let", "d", "=", "5km", "|>", "round", "(", "2", ")"]
        );
    }

    #[test]
    fn unknown_characters_do_not_stop_the_scan() {
        let kinds: Vec<TokenKind> = Lexer::new("a ~ b").map(|t| t.kind).collect();
        assert_eq!(
            kinds,
            [TokenKind::Ident, TokenKind::Error, TokenKind::Ident]
        );
    }

    #[test]
    fn names_are_listed_once() {
        let names: Vec<&str> = distinct_names("let a = b + a * c").collect();
        assert_eq!(names, ["a", "b", "c"]);
    }
}
