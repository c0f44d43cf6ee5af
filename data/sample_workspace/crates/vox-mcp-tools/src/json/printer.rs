//! Writing JSON text.

use super::Value;
use std::fmt::Write;

/// Appends a string as a JSON literal, quotes included.
///
/// Quotes, backslashes and control characters are escaped, the common ones in
/// their short form. The line separators U+2028 and U+2029 are escaped too,
/// since older script engines choke on them.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends a number in its shortest form that reads back the same.
///
/// Integers up to 2^53 are written without a point. JSON has no infinities and
/// no NaN; they come out as `null`.
pub(crate) fn write_number(out: &mut String, number: f64) {
    if !number.is_finite() {
        out.push_str("null");
    } else if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
        let _ = write!(out, "{}", number as i64);
    } else if number.abs() >= 1e21 || number.abs() < 1e-6 {
        let _ = write!(out, "{number:e}");
    } else {
        let _ = write!(out, "{number}");
    }
}

/// Prints a value without any blanks.
///
/// Members keep their order. Parsing the result gives an equal value, provided
/// that all numbers are finite.
///
/// # Examples
///
/// ```
/// use vox_mcp_tools::json::{parse, to_compact};
/// let value = parse(r#"{ "a" : [ 1.0, "x" ] }"#).unwrap();
/// assert_eq!(to_compact(&value), r#"{"a":[1,"x"]}"#);
/// ```
#[must_use]
pub fn to_compact(value: &Value) -> String {
    fn emit(out: &mut String, value: &Value) {
        match value {
            Value::Null => out.push_str("null"),
            Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Number(n) => write_number(out, *n),
            Value::String(s) => write_string(out, s),
            Value::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    emit(out, item);
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (i, (name, member)) in members.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    write_string(out, name);
                    out.push(':');
                    emit(out, member);
                }
                out.push('}');
            }
        }
    }
    let mut out = String::new();
    emit(&mut out, value);
    out
}

/// Prints a value over several lines for people to read.
///
/// Each level is indented by `indent` blanks. An array or object whose compact
/// form takes at most `width` characters is printed in that form, on one line;
/// so are empty ones. There is no final newline.
pub fn to_pretty(value: &Value, indent: usize, width: usize) -> String {
    fn emit(out: &mut String, value: &Value, indent: usize, width: usize, depth: usize) {
        let compact = to_compact(value);
        let parts: Vec<(Option<&str>, &Value)> = match value {
            Value::Array(items) => items.iter().map(|v| (None, v)).collect(),
            Value::Object(members) => members.iter().map(|(k, v)| (Some(k.as_str()), v)).collect(),
            _ => Vec::new(),
        };
        if parts.is_empty() || compact.chars().count() <= width {
            out.push_str(&compact);
            return;
        }
        let (open, close) = if matches!(value, Value::Array(_)) {
            ('[', ']')
        } else {
            ('{', '}')
        };
        out.push(open);
        for (i, (name, part)) in parts.into_iter().enumerate() {
            out.push_str(if i > 0 { ",\n" } else { "\n" });
            out.push_str(&" ".repeat(indent * (depth + 1)));
            if let Some(name) = name {
                write_string(out, name);
                out.push_str(": ");
            }
            emit(out, part, indent, width, depth + 1);
        }
        out.push('\n');
        out.push_str(&" ".repeat(indent * depth));
        out.push(close);
    }
    let mut out = String::new();
    emit(&mut out, value, indent, width, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn numbers() {
        let text = |n: f64| {
            let mut out = String::new();
            write_number(&mut out, n);
            out
        };
        assert_eq!(text(-3.0), "-3");
        assert_eq!(text(0.1), "0.1");
        assert_eq!(text(1e300), "1e300");
        assert_eq!(text(f64::NAN), "null");
    }

    #[test]
    fn round_trips() {
        let source = r#"{"a":[1,2.5,null,true],"b":{"c":"x\"\\\n\u0001"},"d":[],"e":-1e-7}"#;
        let value = parse(source).expect("valid JSON");
        assert_eq!(to_compact(&value), source);
        assert_eq!(parse(&to_pretty(&value, 2, 10)), Ok(value));
    }

    #[test]
    fn pretty_layout() {
        let value = parse(r#"{"a":[1,2],"b":[]}"#).expect("valid JSON");
        assert_eq!(
            to_pretty(&value, 2, 5),
            "{\n  \"a\": [1,2],\n  \"b\": []\n}"
        );
    }
}
