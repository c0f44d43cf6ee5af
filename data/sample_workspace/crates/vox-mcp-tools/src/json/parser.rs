//! Reading JSON text.

use super::{Members, Value};
use std::fmt;

/// Deepest nesting that [`parse`] accepts.
const MAX_DEPTH: usize = 128;

/// A syntax error and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What was wrong.
    pub message: &'static str,
    /// Line, counted from one.
    pub line: usize,
    /// Column in characters, counted from one.
    pub column: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

type Step<T> = Result<T, &'static str>;

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// Parses one JSON document that fills the whole text.
///
/// Blanks may surround it. When an object repeats a name the last value wins, at
/// the place of the first. Nesting deeper than 128 levels is refused so that
/// hostile input cannot exhaust the stack.
///
/// # Errors
///
/// A [`ParseError`] at the character that could not be accepted.
pub fn parse(text: &str) -> Result<Value, ParseError> {
    let mut reader = Reader { text, at: 0 };
    let outcome = reader.value(0).and_then(|value| {
        reader.skip_blanks();
        if reader.at == text.len() {
            Ok(value)
        } else {
            Err("unexpected text after the document")
        }
    });
    outcome.map_err(|message| {
        let (line, column) = crate::line_and_column(text, reader.at);
        ParseError {
            message,
            line,
            column,
        }
    })
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Consumes a byte if it comes next, after blanks.
    fn eat(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Dispatches on the first byte of a value.
    ///
    /// `depth` is the number of arrays and objects around it. On failure the
    /// reader stands at the offending byte.
    fn value(&mut self, depth: usize) -> Step<Value> {
        if depth > MAX_DEPTH {
            return Err("nested too deeply");
        }
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.object(depth).map(Value::Object),
            Some(b'[') => self.array(depth).map(Value::Array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => {
                for (word, value) in [
                    ("null", Value::Null),
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                ] {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err("expected a value")
            }
        }
    }

    /// Reads an array whose bracket comes next.
    ///
    /// Elements are one level deeper than `depth`. A comma must be followed by another
    /// element, so `[1,]` is refused.
    fn array(&mut self, depth: usize) -> Step<Vec<Value>> {
        self.at += 1;
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat(b']') {
                return Ok(items);
            }
            if !self.eat(b',') {
                return Err("expected ',' or ']'");
            }
        }
    }

    /// Reads an object whose brace comes next.
    ///
    /// A repeated name overwrites the earlier member's value in place, so names
    /// stay unique and their first order is kept. Trailing commas are errors.
    fn object(&mut self, depth: usize) -> Step<Members> {
        self.at += 1;
        let mut members: Members = Vec::new();
        if self.eat(b'}') {
            return Ok(members);
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err("expected a member name");
            }
            let name = self.string()?;
            if !self.eat(b':') {
                return Err("expected ':'");
            }
            let value = self.value(depth + 1)?;
            match members.iter_mut().find(|(key, _)| *key == name) {
                Some((_, old)) => *old = value,
                None => members.push((name, value)),
            }
            if self.eat(b'}') {
                return Ok(members);
            }
            if !self.eat(b',') {
                return Err("expected ',' or '}'");
            }
        }
    }

    /// Checks a number against the JSON grammar and converts it.
    ///
    /// Leading zeros, a bare point and an empty exponent are refused although
    /// Rust's own parser would take some of them. Numbers too large for an `f64`
    /// are an error rather than infinity.
    fn number(&mut self) -> Step<f64> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err("expected a digit"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        match self.text[start..self.at].parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err("number out of range"),
        }
    }

    fn digits(&mut self) -> Step<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err("expected a digit")
        } else {
            Ok(())
        }
    }

    /// Reads a quoted string and resolves its escapes.
    ///
    /// Plain stretches are copied in one piece. Control characters must be
    /// escaped; the reader stops at the first byte that breaks a rule.
    fn string(&mut self) -> Step<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let stop = rest
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .ok_or("unclosed string")?;
            out.push_str(&rest[..stop]);
            self.at += stop;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err("control character in a string"),
            }
        }
    }

    /// Resolves one escape sequence that starts at the backslash.
    ///
    /// A high surrogate must be followed at once by an escaped low one; the two
    /// are combined. Surrogates on their own are refused, since a Rust string
    /// could not hold them.
    fn escape(&mut self) -> Step<char> {
        let letter = self.text.as_bytes().get(self.at + 1).copied();
        if letter != Some(b'u') {
            let c = match letter {
                Some(b'n') => '\n',
                Some(b't') => '\t',
                Some(b'r') => '\r',
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
                _ => return Err("unknown escape"),
            };
            self.at += 2;
            return Ok(c);
        }
        let high = self.hex_unit(self.at + 2)?;
        if !(0xd800..0xdc00).contains(&high) {
            let c = char::from_u32(high).ok_or("lone surrogate")?;
            self.at += 6;
            return Ok(c);
        }
        if self.text.as_bytes().get(self.at + 6..self.at + 8) != Some(b"\\u") {
            return Err("lone surrogate");
        }
        let low = self.hex_unit(self.at + 8)?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err("lone surrogate");
        }
        self.at += 12;
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or("lone surrogate")
    }

    fn hex_unit(&self, at: usize) -> Step<u32> {
        let digits = self
            .text
            .get(at..at + 4)
            .ok_or("expected four hex digits")?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("expected four hex digits");
        }
        u32::from_str_radix(digits, 16).map_err(|_| "expected four hex digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let value = parse(" {\"a\": [1, -2.5e1, true], \"a\": null} ").expect("valid JSON");
        assert_eq!(value, Value::Object(vec![("a".into(), Value::Null)]));
        assert_eq!(parse(r#""\ud83d\ude00\/\n""#), Ok(Value::from("😀/\n")));
    }

    #[test]
    fn errors_have_positions() {
        let err = parse("[1,\n 2 3]").expect_err("missing comma");
        assert_eq!((err.line, err.column), (2, 4));
        for bad in [
            "",
            "01",
            "1.",
            "[1,]",
            "{\"a\":1,}",
            "\"\u{1}\"",
            r#""\ud800x""#,
            "1e999",
            "nul",
            "{} x",
            "\"abc",
        ] {
            assert!(parse(bad).is_err(), "accepted {bad:?}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_eq!(
            parse(&deep).map_err(|e| e.message),
            Err("nested too deeply")
        );
    }
}
