//! Path patterns: `*`, `**`, `?`, classes and brace lists.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    AnyChar,
    Star,
    DoubleStar,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A compiled path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
}

/// A mistake in a pattern and the character index where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlobError {
    /// A `[` that no `]` closes.
    OpenClass(usize),
    /// A range such as `[z-a]`.
    BackwardRange(usize),
    /// A backslash at the very end.
    DanglingEscape(usize),
    /// A `{` that no `}` closes.
    OpenBrace(usize),
}

impl fmt::Display for GlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, at) = match self {
            GlobError::OpenClass(at) => ("unclosed '['", at),
            GlobError::BackwardRange(at) => ("backward range", at),
            GlobError::DanglingEscape(at) => ("dangling escape", at),
            GlobError::OpenBrace(at) => ("unclosed '{'", at),
        };
        write!(f, "{what} at {at}")
    }
}

impl std::error::Error for GlobError {}

impl Glob {
    /// Translates a pattern into matching steps.
    ///
    /// `?` stands for one character other than `/`, `*` for any run without
    /// `/`, `**` for any run at all, `[a-z]` and `[!a-z]` for classes; a
    /// backslash takes the next character literally. Braces are not handled
    /// here, see [`expand_braces`].
    ///
    /// # Errors
    ///
    /// Reports an unclosed class, a backward range or a trailing backslash.
    pub fn compile(pattern: &str) -> Result<Self, GlobError> {
        let chars: Vec<char> = pattern.chars().collect();
        let mut tokens = Vec::new();
        let mut at = 0;
        while at < chars.len() {
            match chars[at] {
                '?' => tokens.push(Token::AnyChar),
                '*' if chars.get(at + 1) == Some(&'*') => {
                    tokens.push(Token::DoubleStar);
                    at += 1;
                }
                '*' => tokens.push(Token::Star),
                '\\' => {
                    let next = chars.get(at + 1).ok_or(GlobError::DanglingEscape(at))?;
                    tokens.push(Token::Literal(*next));
                    at += 1;
                }
                '[' => {
                    let (class, end) = parse_class(&chars, at)?;
                    tokens.push(class);
                    at = end;
                }
                c => tokens.push(Token::Literal(c)),
            }
            at += 1;
        }
        Ok(Glob { tokens })
    }

    /// Tells whether the whole of `path` fits the pattern.
    ///
    /// The set of reachable pattern positions is advanced over the path one
    /// character at a time, so the cost is bounded by path length times pattern
    /// length and no input can cause exponential backtracking.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let n = self.tokens.len();
        let mut live = vec![false; n + 1];
        live[0] = true;
        self.skip_stars(&mut live);
        for c in path.chars() {
            let mut next = vec![false; n + 1];
            for (i, token) in self.tokens.iter().enumerate().filter(|(i, _)| live[*i]) {
                match token {
                    Token::Star if c != '/' => next[i] = true,
                    Token::DoubleStar => next[i] = true,
                    Token::Star => {}
                    single if single.accepts(c) => next[i + 1] = true,
                    _ => {}
                }
            }
            self.skip_stars(&mut next);
            live = next;
        }
        live[n]
    }

    /// Also makes live the position after each live run token.
    ///
    /// Runs may be empty. Positions are visited in ascending order, so several run
    /// tokens in a row are skipped in a single pass.
    fn skip_stars(&self, live: &mut [bool]) {
        for (i, token) in self.tokens.iter().enumerate() {
            if live[i] && matches!(token, Token::Star | Token::DoubleStar) {
                live[i + 1] = true;
            }
        }
    }

    /// Gives the fixed text that every matching path must begin with.
    ///
    /// Directory walkers use it to choose where to start. The prefix ends
    /// before the first wildcard or class; for a pattern without any it is the
    /// whole (unescaped) pattern.
    pub fn literal_prefix(&self) -> String {
        let mut prefix = String::new();
        for token in &self.tokens {
            match token {
                Token::Literal(c) => prefix.push(*c),
                Token::Class {
                    negated: false,
                    ranges,
                } if is_single(ranges) => {
                    prefix.push(ranges[0].0);
                }
                _ => break,
            }
        }
        prefix
    }
}

fn is_single(ranges: &[(char, char)]) -> bool {
    matches!(ranges, [(lo, hi)] if lo == hi)
}

impl Token {
    /// Decides whether this token can consume the single character `c`.
    ///
    /// Neither `?` nor a class, negated or not, ever accepts the separator
    /// `/`. The run tokens answer `false`: they are stepped by the matcher.
    pub(crate) fn accepts(&self, c: char) -> bool {
        match self {
            Token::Literal(want) => *want == c,
            Token::AnyChar => c != '/',
            Token::Class { negated, ranges } => {
                let inside = ranges.iter().any(|&(lo, hi)| (lo..=hi).contains(&c));
                c != '/' && inside != *negated
            }
            Token::Star | Token::DoubleStar => false,
        }
    }
}

/// Reads a bracket class whose `[` stands at index `open`.
///
/// A leading `!` or `^` negates; a `]` directly after that is an ordinary
/// member; `a-c` is a range and a `-` next to either bracket stands for itself.
/// Returns the class and the index of the closing bracket.
fn parse_class(chars: &[char], open: usize) -> Result<(Token, usize), GlobError> {
    let mut at = open + 1;
    let negated = matches!(chars.get(at), Some('!' | '^'));
    at += usize::from(negated);
    let first = at;
    let mut ranges = Vec::new();
    loop {
        let c = *chars.get(at).ok_or(GlobError::OpenClass(open))?;
        if c == ']' && at > first {
            return Ok((Token::Class { negated, ranges }, at));
        }
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(&hi)) if hi != ']' => {
                if hi < c {
                    return Err(GlobError::BackwardRange(at));
                }
                ranges.push((c, hi));
                at += 3;
            }
            _ => {
                ranges.push((c, c));
                at += 1;
            }
        }
    }
}

/// Multiplies out the brace lists of a pattern.
///
/// `a{b,c{d,e}}` becomes `ab`, `acd`, `ace`, in that order; lists may nest and
/// may have empty alternatives. A pattern without braces is returned alone.
///
/// # Errors
///
/// [`GlobError::OpenBrace`] with the index of the first brace left unclosed.
pub fn expand_braces(pattern: &str) -> Result<Vec<String>, GlobError> {
    let Some(open) = pattern.find('{') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let (mut depth, mut start, mut close) = (0usize, open + 1, None);
    let mut parts = Vec::new();
    for (at, c) in pattern[open..].char_indices().map(|(i, c)| (open + i, c)) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => {
                parts.push(&pattern[start..at]);
                start = at + 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    parts.push(&pattern[start..at]);
                    close = Some(at);
                    break;
                }
            }
            _ => {}
        }
    }
    let close = close.ok_or_else(|| GlobError::OpenBrace(pattern[..open].chars().count()))?;
    let mut out = Vec::new();
    for part in parts {
        let whole = format!("{}{}{}", &pattern[..open], part, &pattern[close + 1..]);
        out.extend(expand_braces(&whole)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(pattern: &str, path: &str) -> bool {
        Glob::compile(pattern).expect("valid pattern").matches(path)
    }

    #[test]
    fn wildcards_respect_separators() {
        assert!(hit("src/*.vox", "src/main.vox"));
        assert!(!hit("src/*.vox", "src/a/main.vox"));
        assert!(hit("src/**.vox", "src/a/main.vox"));
        assert!(hit("?x", "éx"));
        assert!(!hit("a?b", "a/b"));
    }

    #[test]
    fn classes() {
        assert!(hit("[]a-c]1", "]1"));
        assert!(hit("[!0-9]", "x"));
        assert!(!hit("[!0-9]", "/"));
        assert!(hit("[a-]", "-"));
        assert_eq!(Glob::compile("[z-a]"), Err(GlobError::BackwardRange(1)));
        assert_eq!(Glob::compile("x[ab"), Err(GlobError::OpenClass(1)));
        assert_eq!(Glob::compile("x\\"), Err(GlobError::DanglingEscape(1)));
    }

    #[test]
    fn prefixes_and_braces() {
        let glob = Glob::compile("lib/[v]ox\\*/?.rs").expect("valid pattern");
        assert_eq!(glob.literal_prefix(), "lib/vox*/");
        assert_eq!(
            expand_braces("a{b,c{d,e}}f"),
            Ok(vec!["abf".into(), "acdf".into(), "acef".into()])
        );
        assert_eq!(expand_braces("é{b"), Err(GlobError::OpenBrace(1)));
        assert_eq!(expand_braces("x{,y}").map(|v| v.len()), Ok(2));
    }
}
