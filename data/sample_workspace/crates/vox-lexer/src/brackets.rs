//! Bracket structure of a token stream.

use crate::token::{Token, TokenKind};

/// Indices of two tokens that enclose a group.
pub type Pair = (usize, usize);

/// A place where the brackets do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BracketFault {
    /// The opening token at this index has no partner.
    Unclosed(usize),
    /// The closing token at this index has nothing to close.
    Unopened(usize),
    /// The two tokens meet but are of different shapes.
    Mismatch {
        /// Index of the opening token.
        open: usize,
        /// Index of the closing token.
        close: usize,
    },
}

const fn partner(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

/// Pairs every opening bracket with the closing one that ends it.
///
/// Pairs come out ordered by their closing token. When a closing bracket does
/// not fit the innermost open one, the stack is searched outward: if an outer
/// bracket fits, everything above it counts as unclosed; otherwise the
/// innermost is reported as a mismatch and removed. Faults never stop the
/// matching, so one typing error yields few messages.
#[must_use]
pub fn match_brackets(tokens: &[Token]) -> (Vec<Pair>, Vec<BracketFault>) {
    let mut stack: Vec<(usize, char)> = Vec::new();
    let mut pairs = Vec::new();
    let mut faults = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open(ch) => stack.push((index, ch)),
            TokenKind::Close(ch) => {
                let fitting = stack.iter().rposition(|&(_, open)| partner(open) == ch);
                match (fitting, stack.last().copied()) {
                    (Some(depth), _) => {
                        pairs.push((stack[depth].0, index));
                        let dropped = stack.drain(depth..).skip(1);
                        faults.extend(dropped.map(|(open, _)| BracketFault::Unclosed(open)));
                    }
                    (None, Some((open, _))) => {
                        stack.pop();
                        faults.push(BracketFault::Mismatch { open, close: index });
                    }
                    (None, None) => faults.push(BracketFault::Unopened(index)),
                }
            }
            _ => {}
        }
    }
    faults.extend(stack.iter().map(|&(open, _)| BracketFault::Unclosed(open)));
    (pairs, faults)
}

/// Finds the tightest pair around a byte offset, for editors that highlight
/// matching brackets.
///
/// A pair encloses the offset if its opening token starts at or before it and
/// its closing token ends at or after it. Among those, the pair with the
/// shortest distance in bytes wins. Indices outside `tokens` are ignored.
#[must_use]
pub fn enclosing_pair(tokens: &[Token], pairs: &[Pair], offset: usize) -> Option<Pair> {
    let mut best: Option<(usize, Pair)> = None;
    for &(open, close) in pairs {
        let (Some(left), Some(right)) = (tokens.get(open), tokens.get(close)) else {
            continue;
        };
        if left.span.start > offset || right.span.end < offset {
            continue;
        }
        let width = right.span.end - left.span.start;
        if best.is_none_or(|(narrowest, _)| width < narrowest) {
            best = Some((width, (open, close)));
        }
    }
    best.map(|(_, pair)| pair)
}

/// Splits the tokens between a pair at its top-level commas.
///
/// The result holds one index range per argument; the ranges exclude commas
/// and brackets. A trailing comma adds no empty argument, and an empty group
/// has none. `is_comma` decides which punctuation separates, since a token
/// carries no text of its own.
#[must_use]
pub fn split_arguments<F>(tokens: &[Token], pair: Pair, is_comma: F) -> Vec<std::ops::Range<usize>>
where
    F: Fn(&Token) -> bool,
{
    let (open, close) = pair;
    let close = close.min(tokens.len());
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    let mut start = open + 1;
    for (index, token) in tokens.iter().enumerate().take(close).skip(open + 1) {
        match token.kind {
            TokenKind::Open(_) => depth += 1,
            TokenKind::Close(_) => depth = depth.saturating_sub(1),
            _ if depth == 0 && is_comma(token) => {
                parts.push(start..index);
                start = index + 1;
            }
            _ => {}
        }
    }
    if start < close {
        parts.push(start..close);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Lexer;

    fn lex(source: &str) -> Vec<Token> {
        Lexer::new(source).collect()
    }

    #[test]
    fn nested_groups_match() {
        let (pairs, faults) = match_brackets(&lex("(a [b] {c})"));
        assert_eq!(pairs, vec![(2, 4), (5, 7), (0, 8)]);
        assert!(faults.is_empty());
    }

    #[test]
    fn recovery_prefers_an_outer_partner() {
        let (pairs, faults) = match_brackets(&lex("( [ a )"));
        assert_eq!(pairs, vec![(0, 3)]);
        assert_eq!(faults, vec![BracketFault::Unclosed(1)]);
        let (_, faults) = match_brackets(&lex("( ] )"));
        assert_eq!(
            faults,
            vec![
                BracketFault::Mismatch { open: 0, close: 1 },
                BracketFault::Unopened(2)
            ]
        );
    }

    #[test]
    fn innermost_pair_wins() {
        let tokens = lex("(a [b])");
        let (pairs, _) = match_brackets(&tokens);
        assert_eq!(enclosing_pair(&tokens, &pairs, 4), Some((2, 4)));
        assert_eq!(enclosing_pair(&tokens, &pairs, 1), Some((0, 5)));
        assert_eq!(enclosing_pair(&tokens, &pairs, 9), None);
    }

    #[test]
    fn arguments_split_at_top_level_commas() {
        let source = "f(a, g(b, c), )";
        let tokens = lex(source);
        let parts = split_arguments(&tokens, (1, tokens.len() - 1), |t| {
            t.span.text_in(source) == ","
        });
        assert_eq!(parts, vec![2..3, 4..10]);
    }
}
