//! A JSON document model.

mod parser;
mod patch;
mod pointer;
mod printer;
mod schema;

pub use parser::{parse, ParseError};
pub use patch::{merge_diff, merge_patch};
pub use pointer::{Pointer, PointerError};
pub use printer::{to_compact, to_pretty, write_string};
pub use schema::{Kind, Schema, Violation};

use std::cmp::Ordering;

/// Members of an object, in the order in which they were written.
pub type Members = Vec<(String, Value)>;

/// Any JSON value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// The null literal.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// Any number; integers are exact up to 2^53.
    Number(f64),
    /// A text.
    String(String),
    /// An ordered list.
    Array(Vec<Value>),
    /// Named members; names are unique.
    Object(Members),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

impl Value {
    /// Looks up an object member by name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The word used for this value's type in messages.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// Sets a member, turning the value into an object if it is not one.
    ///
    /// An existing member keeps its place and its old value is returned; a new
    /// one is appended. Whatever a non-object held before is lost.
    pub fn set(&mut self, name: &str, value: Value) -> Option<Value> {
        if !matches!(self, Value::Object(_)) {
            *self = Value::Object(Vec::new());
        }
        let Value::Object(members) = self else {
            return None;
        };
        match members.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => Some(std::mem::replace(old, value)),
            None => {
                members.push((name.to_owned(), value));
                None
            }
        }
    }

    /// Returns the number as an index if it is a non-negative integer.
    ///
    /// Numbers with a fraction, beyond 2^53, or of another type give `None`.
    pub fn as_index(&self) -> Option<usize> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self {
            Value::Number(n) if n.fract() == 0.0 && (0.0..=EXACT).contains(n) => Some(*n as usize),
            _ => None,
        }
    }

    /// Orders any two values, for sorting and for canonical output.
    ///
    /// Types rank as null, booleans, numbers, strings, arrays, objects. Arrays
    /// compare element by element; objects by their members after sorting these
    /// by name, so member order does not matter. NaN sorts above all numbers.
    pub fn total_order(&self, other: &Value) -> Ordering {
        fn rank(value: &Value) -> u8 {
            match value {
                Value::Null => 0,
                Value::Bool(_) => 1,
                Value::Number(_) => 2,
                Value::String(_) => 3,
                Value::Array(_) => 4,
                Value::Object(_) => 5,
            }
        }
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Number(a), Value::Number(b)) if a == b => Ordering::Equal,
            (Value::Number(a), Value::Number(b)) => a.total_cmp(b),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Array(a), Value::Array(b)) => a
                .iter()
                .zip(b)
                .map(|(x, y)| x.total_order(y))
                .find(|o| o.is_ne())
                .unwrap_or_else(|| a.len().cmp(&b.len())),
            (Value::Object(a), Value::Object(b)) => {
                let (mut a, mut b): (Vec<_>, Vec<_>) = (a.iter().collect(), b.iter().collect());
                a.sort_by(|x, y| x.0.cmp(&y.0));
                b.sort_by(|x, y| x.0.cmp(&y.0));
                a.iter()
                    .zip(&b)
                    .map(|(x, y)| x.0.cmp(&y.0).then_with(|| x.1.total_order(&y.1)))
                    .find(|o| o.is_ne())
                    .unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// Visits every value of the document, parents before children.
    ///
    /// The callback receives the depth, 0 for the root, and the value; returning
    /// `false` skips the children of that value. An explicit stack is used, so
    /// depth is limited by memory only.
    pub fn walk<F>(&self, mut visit: F)
    where
        F: FnMut(usize, &Value) -> bool,
    {
        let mut stack = vec![(0, self)];
        while let Some((depth, value)) = stack.pop() {
            if !visit(depth, value) {
                continue;
            }
            match value {
                Value::Array(items) => stack.extend(items.iter().rev().map(|v| (depth + 1, v))),
                Value::Object(members) => {
                    stack.extend(members.iter().rev().map(|(_, v)| (depth + 1, v)));
                }
                _ => {}
            }
        }
    }

    /// Replaces the values of members whose name looks secret by `"***"`.
    ///
    /// A name is secret if, in lower case and without `_` and `-`, it contains
    /// one of the given words. The whole document is searched; the number of
    /// replaced values is returned. Nulls are left, as they give nothing away.
    pub fn redact(&mut self, words: &[&str]) -> usize {
        match self {
            Value::Array(items) => items.iter_mut().map(|v| v.redact(words)).sum(),
            Value::Object(members) => {
                let mut replaced = 0;
                for (name, value) in members {
                    let plain: String = name
                        .chars()
                        .filter(|c| !matches!(c, '_' | '-'))
                        .flat_map(char::to_lowercase)
                        .collect();
                    if words.iter().any(|w| plain.contains(w)) {
                        if *value != Value::Null {
                            *value = Value::from("***");
                            replaced += 1;
                        }
                    } else {
                        replaced += value.redact(words);
                    }
                }
                replaced
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(text: &str) -> Value {
        parse(text).expect("valid JSON")
    }

    #[test]
    fn members() {
        let mut value = Value::Null;
        assert_eq!(value.set("a", Value::from(1.0)), None);
        assert_eq!(value.set("a", Value::from(2.0)), Some(Value::from(1.0)));
        assert_eq!(value.get("a").and_then(Value::as_index), Some(2));
        assert_eq!(Value::from(1.5).as_index(), None);
        assert_eq!(value.type_name(), "object");
    }

    #[test]
    fn ordering() {
        let a = doc(r#"{"x":1,"y":[1,2]}"#);
        let b = doc(r#"{"y":[1,2],"x":1}"#);
        assert_eq!(a.total_order(&b), Ordering::Equal);
        assert_eq!(doc("[1,2]").total_order(&doc("[1]")), Ordering::Greater);
        assert_eq!(doc("0").total_order(&doc("-0")), Ordering::Equal);
        assert_eq!(doc("null").total_order(&doc("false")), Ordering::Less);
    }

    #[test]
    fn walking_and_redaction() {
        let mut value = doc(r#"{"API_Key":"k","list":[{"pass-word":1},{"password":null}]}"#);
        let mut seen = Vec::new();
        value.walk(|depth, v| {
            seen.push((depth, v.type_name()));
            depth < 1
        });
        assert_eq!(seen, [(0, "object"), (1, "string"), (1, "array")]);
        assert_eq!(value.redact(&["password", "apikey"]), 2);
        assert_eq!(value.get("API_Key"), Some(&Value::from("***")));
    }
}
