//! String literals: scanning, unescaping and block strings.

use std::borrow::Cow;

use crate::cursor::Cursor;

/// A fault inside the body of a string literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EscapeError {
    /// The text ends right after a backslash.
    Dangling,
    /// The character after the backslash has no meaning.
    Unknown {
        /// Byte offset of the backslash in the body.
        at: usize,
        /// The character that followed it.
        found: char,
    },
    /// A `\u{...}` escape is malformed or names no character.
    BadCodePoint {
        /// Byte offset of the backslash in the body.
        at: usize,
    },
}

/// Moves past a quoted string and reports whether it was closed.
///
/// A literal that starts with three quotes runs to the next three quotes and
/// may span lines. An ordinary literal must close on its own line; when it
/// does not, the cursor stops before the line break so that the following
/// line is scanned normally. A backslash always protects the next character.
pub(crate) fn skip_string(cursor: &mut Cursor<'_>) -> bool {
    let quote = match cursor.take_longest(&["\"\"\"", "\""]) {
        Some(quote) => quote,
        None => return false,
    };
    loop {
        if cursor.take_longest(&[quote]).is_some() {
            return true;
        }
        let single = quote.len() == 1;
        match cursor.rest().chars().next() {
            None => return false,
            Some('\n' | '\r') if single => return false,
            Some('\\') => {
                cursor.bump();
                if !(single && cursor.rest().starts_with(['\n', '\r'])) {
                    cursor.bump();
                }
            }
            Some(_) => {
                cursor.bump();
            }
        }
    }
}

/// Resolves the escapes in a string body (the text between the quotes).
///
/// Supported are `\n`, `\t`, `\r`, `\0`, `\\`, `\"`, `\{` and `\u{HEX}` with
/// one to six hexadecimal digits. A body without a backslash is returned
/// borrowed, without copying.
///
/// # Errors
///
/// See [`EscapeError`]; offsets count bytes from the start of `body`.
///
/// # Examples
///
/// ```
/// use vox_lexer::scan::string::unescape;
/// assert_eq!(unescape(r"caf\u{e9}\n").unwrap(), "café\n");
/// assert!(unescape(r"\q").is_err());
/// ```
pub fn unescape(body: &str) -> Result<Cow<'_, str>, EscapeError> {
    if !body.contains('\\') {
        return Ok(Cow::Borrowed(body));
    }
    let mut out = String::with_capacity(body.len());
    let mut chars = body.char_indices();
    while let Some((at, ch)) = chars.next() {
        if ch != '\\' {
            out.push(ch);
            continue;
        }
        let (_, escape) = chars.next().ok_or(EscapeError::Dangling)?;
        match escape {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            '0' => out.push('\0'),
            '\\' | '"' | '{' => out.push(escape),
            'u' => {
                let (resolved, length) =
                    code_point(&body[at + 2..]).ok_or(EscapeError::BadCodePoint { at })?;
                out.push(resolved);
                // The escape is ASCII, so bytes and characters agree.
                chars.nth(length - 1);
            }
            found => return Err(EscapeError::Unknown { at, found }),
        }
    }
    Ok(Cow::Owned(out))
}

fn code_point(text: &str) -> Option<(char, usize)> {
    let digits = text.strip_prefix('{')?;
    let close = digits.find('}')?;
    let hex = &digits[..close];
    if hex.len() > 6 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let code = u32::from_str_radix(hex, 16).ok()?;
    Some((char::from_u32(code)?, close + 2))
}

/// Writes `text` as a literal that [`unescape`] turns back into `text`.
///
/// The result includes the surrounding quotes. Only characters that need it
/// are escaped: quotes, backslashes, opening braces (they would start an
/// interpolation) and control characters, which use a short form where one
/// exists and `\u{...}` otherwise.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for ch in text.chars() {
        match ch {
            '"' | '\\' | '{' => {
                out.push('\\');
                out.push(ch);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            control if control.is_control() => {
                out.push_str(&format!("\\u{{{:x}}}", control as u32));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

/// Removes the common indentation from the body of a block string.
///
/// The margin is the smallest number of leading blanks over all lines that
/// contain anything else. A first line that is empty (directly after the
/// opening quotes) and a last line that is only blanks (before the closing
/// quotes) are discarded. Lines that are shorter than the margin become empty.
#[must_use]
pub fn dedent(body: &str) -> String {
    let mut lines: Vec<&str> = body.lines().collect();
    if lines.first().is_some_and(|line| line.trim().is_empty()) {
        lines.remove(0);
    }
    if lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    let blanks = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let margin = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| blanks(line))
        .min()
        .unwrap_or(0);
    let stripped: Vec<&str> = lines
        .iter()
        .map(|line| line.get(margin..).unwrap_or("").trim_end())
        .collect();
    stripped.join("\n")
}

/// A piece of a string with `{...}` interpolation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'s> {
    /// Literal text, escapes untouched.
    Text(&'s str),
    /// The source of an embedded expression, without its braces.
    Expr(&'s str),
}

/** Separates a string body into literal text and embedded expressions.

Braces inside an expression may nest, as in `{f({1})}`. An escaped brace
`\{` is plain text. Empty text between two expressions is left out.

# Errors

The byte offset of the opening brace is returned when an expression is never
closed.
*/
pub fn split_interpolation(body: &str) -> Result<Vec<Piece<'_>>, usize> {
    let bytes = body.as_bytes();
    let mut pieces = Vec::new();
    let mut text_start = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'{' => {
                let mut depth = 1_usize;
                let mut end = at + 1;
                while depth > 0 {
                    match bytes.get(end) {
                        Some(b'{') => depth += 1,
                        Some(b'}') => depth -= 1,
                        Some(_) => {}
                        None => return Err(at),
                    }
                    end += 1;
                }
                if text_start < at {
                    pieces.push(Piece::Text(&body[text_start..at]));
                }
                pieces.push(Piece::Expr(&body[at + 1..end - 1]));
                text_start = end;
                at = end;
            }
            _ => at += 1,
        }
    }
    if text_start < body.len() {
        pieces.push(Piece::Text(&body[text_start..]));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_round_trips() {
        for text in ["plain", "tab\t\"q\" {x} \\", "bell\u{7}é", ""] {
            let literal = quote(text);
            let body = &literal[1..literal.len() - 1];
            assert_eq!(unescape(body).unwrap(), text);
        }
    }

    #[test]
    fn bad_escapes_are_located() {
        assert_eq!(
            unescape(r"ab\q"),
            Err(EscapeError::Unknown { at: 2, found: 'q' })
        );
        assert_eq!(
            unescape(r"\u{d800}"),
            Err(EscapeError::BadCodePoint { at: 0 })
        );
        assert_eq!(unescape(r"x\u{}"), Err(EscapeError::BadCodePoint { at: 1 }));
        assert_eq!(unescape("x\\"), Err(EscapeError::Dangling));
    }

    #[test]
    fn unfinished_strings_stop_at_the_line_end() {
        let mut cursor = Cursor::new("\"abc\nnext");
        assert!(!skip_string(&mut cursor));
        assert_eq!(cursor.rest(), "\nnext");
        let mut block = Cursor::new("\"\"\"a\n\"b\"\n\"\"\";");
        assert!(skip_string(&mut block));
        assert_eq!(block.rest(), ";");
    }

    #[test]
    fn block_strings_lose_their_margin() {
        assert_eq!(dedent("\n    a\n      b\n\n    c\n  "), "a\n  b\n\nc");
    }

    #[test]
    fn interpolation_nests() {
        assert_eq!(
            split_interpolation(r"a\{ {f({1})}{x}"),
            Ok(vec![
                Piece::Text(r"a\{ "),
                Piece::Expr("f({1})"),
                Piece::Expr("x")
            ])
        );
        assert_eq!(split_interpolation("ab{c"), Err(2));
    }
}
