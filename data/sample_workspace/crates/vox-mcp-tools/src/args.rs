//! Turning loosely typed arguments into what a tool expects.

use crate::json::{Kind, Schema, Value};

/// Converts a value toward a schema where the intent is clear.
///
/// Language models often quote numbers or forget the brackets of a list. Strings
/// are read as numbers or booleans if those are asked for, numbers become
/// strings, a lone value becomes a list of one, and option names are matched
/// without regard to case. Members and elements are converted recursively. What
/// has no clear reading is left for [`Schema::check`] to report.
#[must_use]
pub fn coerce(schema: &Schema, value: Value) -> Value {
    if value == Value::Null && schema.nullable {
        return value;
    }
    match (&schema.kind, value) {
        (Kind::Bool, Value::String(s)) => parse_switch(&s).map_or(Value::String(s), Value::Bool),
        (Kind::Number { .. }, Value::String(s)) => match parse_number(&s) {
            Some(number) => Value::Number(number),
            None => Value::String(s),
        },
        (Kind::Text { .. }, number @ Value::Number(_)) => {
            Value::String(crate::json::to_compact(&number))
        }
        (Kind::OneOf(options), Value::String(s)) => {
            let folded = options.iter().find(|o| o.eq_ignore_ascii_case(s.trim()));
            Value::String(folded.cloned().unwrap_or(s))
        }
        (Kind::List(element), Value::Array(items)) => {
            Value::Array(items.into_iter().map(|v| coerce(element, v)).collect())
        }
        (Kind::List(element), lone) if lone != Value::Null => {
            Value::Array(vec![coerce(element, lone)])
        }
        (Kind::Record { fields, .. }, Value::Object(members)) => {
            let convert = |(name, member): (String, Value)| {
                let field = fields.iter().find(|f| f.0 == name);
                let member = match field {
                    Some((_, schema, _)) => coerce(schema, member),
                    None => member,
                };
                (name, member)
            };
            Value::Object(members.into_iter().map(convert).collect())
        }
        (_, other) => other,
    }
}

fn parse_switch(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Reads a number as people write it.
///
/// Underscores may group digits, a percent sign divides by a hundred, and the
/// suffixes `k` and `M` multiply by a thousand and a million. Hexadecimal needs
/// the prefix `0x`. Anything else, and anything not finite, gives `None`.
///
/// # Examples
///
/// ```
/// use vox_mcp_tools::args::parse_number;
/// assert_eq!(parse_number("12_500"), Some(12500.0));
/// assert_eq!(parse_number("25%"), Some(0.25));
/// assert_eq!(parse_number("many"), None);
/// ```
pub fn parse_number(text: &str) -> Option<f64> {
    let plain = text.trim().replace('_', "");
    if let Some(hex) = plain.strip_prefix("0x") {
        let valid = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let number = if valid {
            u64::from_str_radix(hex, 16).ok()?
        } else {
            return None;
        };
        return Some(number as f64);
    }
    let (digits, factor) = match plain.chars().last()? {
        '%' => (&plain[..plain.len() - 1], 0.01),
        'k' => (&plain[..plain.len() - 1], 1e3),
        'M' => (&plain[..plain.len() - 1], 1e6),
        _ => (plain.as_str(), 1.0),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return None;
    }
    let number: f64 = digits.parse().ok()?;
    Some(number * factor).filter(|n| n.is_finite())
}

/// Splits a command line into words as a shell would, without expansions.
///
/// Single quotes keep everything, double quotes allow a backslash before `"` and
/// `\`, and outside quotes a backslash protects any one character. Adjacent
/// pieces form one word; an empty pair of quotes is an empty word. `None` if a
/// quote is not closed or the text ends in a backslash.
pub fn split_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_with(String::new);
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_with(String::new);
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' if matches!(chars.peek(), Some('"' | '\\')) => {
                            word.extend(chars.next())
                        }
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_with(String::new).push(chars.next()?),
            c => word.get_or_insert_with(String::new).push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// Builds an argument object from `key=value` words and `--flag` switches.
///
/// `--no-x` sets `x` to false, any other `--x` sets it to true, and `--x=v` is
/// the same as `x=v`. A dotted key reaches into nested objects. A key given twice
/// collects its values in an array. Words of another form are returned apart, in
/// order; values stay strings, for [`coerce`] to convert.
pub fn args_from_words(words: &[String]) -> (Value, Vec<String>) {
    let mut object = Value::Object(Vec::new());
    let mut rest = Vec::new();
    for word in words {
        let (key, value) = match (word.strip_prefix("--"), word.split_once('=')) {
            (Some(body), Some(_)) => match body.split_once('=') {
                Some((key, value)) => (key, Value::from(value)),
                None => (body, Value::Bool(true)),
            },
            (Some(body), None) => match body.strip_prefix("no-") {
                Some(key) => (key, Value::Bool(false)),
                None => (body, Value::Bool(true)),
            },
            (None, Some((key, value))) => (key, Value::from(value)),
            (None, None) => ("", Value::Null),
        };
        if key.is_empty() {
            rest.push(word.clone());
        } else {
            put_dotted(&mut object, key, value);
        }
    }
    (object, rest)
}

/// Stores a value under a key whose dots lead into nested objects.
///
/// Objects on the way are made as needed, replacing plain values. A value already
/// under the key is kept by turning both into an array.
fn put_dotted(object: &mut Value, key: &str, value: Value) {
    if let Some((head, tail)) = key.split_once('.') {
        let mut inner = object.get(head).cloned().unwrap_or_default();
        put_dotted(&mut inner, tail, value);
        object.set(head, inner);
        return;
    }
    match object.set(key, value.clone()) {
        None => {}
        Some(Value::Array(mut earlier)) => {
            earlier.push(value);
            object.set(key, Value::Array(earlier));
        }
        Some(earlier) => {
            object.set(key, Value::Array(vec![earlier, value]));
        }
    }
}

/// Adds the defaults of a record for members that are absent.
///
/// `defaults` maps member names to values; only names that the schema lists are
/// used, and a present null counts as absent unless the member's schema is
/// nullable. Returns the names that were filled in, in schema order.
pub fn fill_defaults(schema: &Schema, args: &mut Value, defaults: &[(&str, Value)]) -> Vec<String> {
    let Kind::Record { fields, .. } = &schema.kind else {
        return Vec::new();
    };
    let mut filled = Vec::new();
    for (name, field, _) in fields {
        let present = match args.get(name) {
            None => false,
            Some(Value::Null) => field.nullable,
            Some(_) => true,
        };
        let default = defaults.iter().find(|(key, _)| key == name);
        if let (false, Some((_, value))) = (present, default) {
            args.set(name, value.clone());
            filled.push(name.clone());
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{parse, to_compact};

    fn schema() -> Schema {
        let number: Schema = Kind::Number {
            min: None,
            max: None,
            integer: false,
        }
        .into();
        let fields = vec![
            ("rate".to_owned(), number, true),
            (
                "names".to_owned(),
                Kind::List(Box::new(Kind::Text { max_len: None }.into())).into(),
                false,
            ),
            ("on".to_owned(), Kind::Bool.into(), false),
            (
                "mode".to_owned(),
                Kind::OneOf(vec!["Fast".into()]).into(),
                false,
            ),
        ];
        Kind::Record { fields, open: true }.into()
    }

    #[test]
    fn coercion() {
        let loose = parse(r#"{"rate":"8k","names":5,"on":"Yes","mode":" fast","x":"1"}"#)
            .expect("valid JSON");
        let strict = coerce(&schema(), loose);
        assert_eq!(
            to_compact(&strict),
            r#"{"rate":8000,"names":["5"],"on":true,"mode":"Fast","x":"1"}"#
        );
        assert!(schema().check(&strict).is_empty());
        let odd = parse(r#"{"rate":"fastish"}"#).expect("valid JSON");
        assert_eq!(schema().check(&coerce(&schema(), odd)).len(), 1);
    }

    #[test]
    fn numbers() {
        assert_eq!(parse_number("0xff"), Some(255.0));
        assert_eq!(parse_number("-1.5M"), Some(-1_500_000.0));
        for bad in ["", "0x", "0x+1", "inf", "nan", "1e999", "k"] {
            assert_eq!(parse_number(bad), None, "accepted {bad:?}");
        }
    }

    #[test]
    fn words() {
        let words = split_words(r#"say 'a b'"c\"" \  "" x=1"#).expect("closed quotes");
        assert_eq!(words, ["say", "a bc\"", " ", "", "x=1"]);
        assert_eq!(split_words("'open"), None);
        assert_eq!(split_words("a\\"), None);
    }

    #[test]
    fn objects_from_words() {
        let words: Vec<String> = ["a.b=1", "--loud", "--no-echo", "t=x", "--t=y", "t=z", "go"]
            .map(String::from)
            .into();
        let (args, rest) = args_from_words(&words);
        assert_eq!(
            to_compact(&args),
            r#"{"a":{"b":"1"},"loud":true,"echo":false,"t":["x","y","z"]}"#
        );
        assert_eq!(rest, ["go"]);
    }

    #[test]
    fn defaults() {
        let mut args = parse(r#"{"rate":null}"#).expect("valid JSON");
        let defaults = [
            ("on", Value::Bool(true)),
            ("rate", Value::from(1.0)),
            ("other", Value::Null),
        ];
        assert_eq!(
            fill_defaults(&schema(), &mut args, &defaults),
            ["rate", "on"]
        );
        assert_eq!(to_compact(&args), r#"{"rate":1,"on":true}"#);
    }
}
