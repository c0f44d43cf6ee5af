//! A small schema language for tool arguments.

use super::{Pointer, Value};
use std::fmt;

/// What a schema asks of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Anything goes.
    Any,
    /// True or false.
    Bool,
    /// A number within optional inclusive bounds; whole if `integer`.
    Number {
        /// Smallest allowed value.
        min: Option<f64>,
        /// Largest allowed value.
        max: Option<f64>,
        /// Whether fractions are refused.
        integer: bool,
    },
    /// A string of at most the given number of characters.
    Text {
        /// Length limit.
        max_len: Option<usize>,
    },
    /// One of the listed strings.
    OneOf(Vec<String>),
    /// A list whose elements all fit a schema.
    List(Box<Schema>),
    /// An object; members not listed are allowed only if `open`.
    Record {
        /// Name, schema and whether the member is required.
        fields: Vec<(String, Schema, bool)>,
        /// Whether unknown members are allowed.
        open: bool,
    },
}

/// A kind and whether null is accepted in its stead.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// What is asked for.
    pub kind: Kind,
    /// Whether null passes.
    pub nullable: bool,
}

/// One way in which a value fails its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where in the document.
    pub at: Pointer,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.at.to_string(), self.message)
    }
}

impl From<Kind> for Schema {
    fn from(kind: Kind) -> Self {
        Schema {
            kind,
            nullable: false,
        }
    }
}

impl Schema {
    /// Checks a value and reports every violation, in document order.
    ///
    /// Checking goes on after the first problem so that a caller can fix all at
    /// once. Missing members are reported at their object. An empty list means
    /// that the value is valid.
    #[must_use]
    pub fn check(&self, value: &Value) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check_at(value, &Pointer::default(), &mut found);
        found
    }

    /// Collects the violations of the value at one place and of all below it.
    ///
    /// Containers of the expected type are entered; everything else is judged by
    /// [`Schema::scalar_problem`]. Null is accepted outright if the schema allows it.
    fn check_at(&self, value: &Value, at: &Pointer, found: &mut Vec<Violation>) {
        if *value == Value::Null && self.nullable {
            return;
        }
        match (&self.kind, value) {
            (Kind::List(element), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    element.check_at(item, &at.child(&index.to_string()), found);
                }
            }
            (Kind::Record { fields, open }, Value::Object(members)) => {
                for (name, _, _) in fields.iter().filter(|f| f.2 && value.get(&f.0).is_none()) {
                    let message = format!("missing member {name:?}");
                    found.push(Violation {
                        at: at.clone(),
                        message,
                    });
                }
                for (name, member) in members {
                    match fields.iter().find(|f| f.0 == *name) {
                        Some((_, schema, _)) => schema.check_at(member, &at.child(name), found),
                        None if *open => {}
                        None => found.push(Violation {
                            at: at.child(name),
                            message: "unknown member".to_owned(),
                        }),
                    }
                }
            }
            _ => {
                if let Some(message) = self.scalar_problem(value) {
                    found.push(Violation {
                        at: at.clone(),
                        message,
                    });
                }
            }
        }
    }

    /// Describes why a value does not fit, ignoring what lies inside containers.
    ///
    /// Bounds are inclusive and lengths are counted in characters. A container
    /// of the right type is fine here, whatever it holds.
    pub(crate) fn scalar_problem(&self, value: &Value) -> Option<String> {
        match (&self.kind, value) {
            (Kind::Any, _)
            | (Kind::Bool, Value::Bool(_))
            | (Kind::List(_), Value::Array(_))
            | (Kind::Record { .. }, Value::Object(_)) => None,
            (Kind::Number { integer: true, .. }, Value::Number(n)) if n.fract() != 0.0 => {
                Some(format!("{n} is not a whole number"))
            }
            (Kind::Number { min, max, .. }, Value::Number(n)) => {
                if min.is_some_and(|m| *n < m) {
                    Some(format!("{n} is too small"))
                } else if max.is_some_and(|m| *n > m) {
                    Some(format!("{n} is too large"))
                } else {
                    None
                }
            }
            (Kind::Text { max_len }, Value::String(s)) => {
                let len = s.chars().count();
                max_len
                    .filter(|&m| len > m)
                    .map(|m| format!("longer than {m} characters"))
            }
            (Kind::OneOf(options), Value::String(s)) => {
                (!options.contains(s)).then(|| format!("{s:?} is none of {}", options.join(", ")))
            }
            (kind, other) => Some(format!(
                "expected {}, found {}",
                kind.noun(),
                other.type_name()
            )),
        }
    }

    /// Renders the schema in JSON Schema's own vocabulary, for tool listings.
    ///
    /// Nullable schemas list `null` as a second type, or as a further constant
    /// next to an enumeration. Records forbid additional members unless open.
    pub fn to_json(&self) -> Value {
        let mut out = Value::Object(Vec::new());
        if let Some(name) = self.kind.json_type() {
            let name = Value::from(name);
            let kind = if self.nullable {
                Value::Array(vec![name, Value::from("null")])
            } else {
                name
            };
            out.set("type", kind);
        }
        match &self.kind {
            Kind::Number { min, max, .. } => {
                for (key, bound) in [("minimum", min), ("maximum", max)] {
                    if let Some(bound) = bound {
                        out.set(key, Value::from(*bound));
                    }
                }
            }
            Kind::Text { max_len: Some(max) } => {
                out.set("maxLength", Value::from(*max as f64));
            }
            Kind::OneOf(options) => {
                let mut listed: Vec<Value> =
                    options.iter().map(|o| Value::from(o.as_str())).collect();
                listed.extend(self.nullable.then_some(Value::Null));
                out.set("enum", Value::Array(listed));
            }
            Kind::List(element) => {
                out.set("items", element.to_json());
            }
            Kind::Record { fields, open } => {
                let members = fields
                    .iter()
                    .map(|(n, s, _)| (n.clone(), s.to_json()))
                    .collect();
                let needed = fields
                    .iter()
                    .filter(|f| f.2)
                    .map(|f| Value::from(f.0.as_str()));
                out.set("properties", Value::Object(members));
                out.set("required", Value::Array(needed.collect()));
                out.set("additionalProperties", Value::Bool(*open));
            }
            Kind::Any | Kind::Bool | Kind::Text { max_len: None } => {}
        }
        out
    }
}

impl Kind {
    fn noun(&self) -> &'static str {
        match self {
            Kind::Any => "anything",
            Kind::Bool => "a boolean",
            Kind::Number { integer: true, .. } => "a whole number",
            Kind::Number { .. } => "a number",
            Kind::Text { .. } => "a string",
            Kind::OneOf(_) => "one of a set of strings",
            Kind::List(_) => "an array",
            Kind::Record { .. } => "an object",
        }
    }

    fn json_type(&self) -> Option<&'static str> {
        match self {
            Kind::Any => None,
            Kind::Bool => Some("boolean"),
            Kind::Number { integer: true, .. } => Some("integer"),
            Kind::Number { .. } => Some("number"),
            Kind::Text { .. } | Kind::OneOf(_) => Some("string"),
            Kind::List(_) => Some("array"),
            Kind::Record { .. } => Some("object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{parse, to_compact};

    fn sample() -> Schema {
        let count = Kind::Number {
            min: Some(1.0),
            max: Some(9.0),
            integer: true,
        };
        let fields = vec![
            (
                "count".to_owned(),
                Schema {
                    kind: count,
                    nullable: true,
                },
                true,
            ),
            (
                "tags".to_owned(),
                Kind::List(Box::new(Kind::Text { max_len: Some(3) }.into())).into(),
                false,
            ),
            (
                "mode".to_owned(),
                Kind::OneOf(vec!["fast".into(), "slow".into()]).into(),
                false,
            ),
        ];
        Kind::Record {
            fields,
            open: false,
        }
        .into()
    }

    fn problems(text: &str) -> Vec<String> {
        let value = parse(text).expect("valid JSON");
        sample()
            .check(&value)
            .iter()
            .map(|v| v.at.to_string())
            .collect()
    }

    #[test]
    fn all_violations_are_reported() {
        assert!(problems(r#"{"count":null,"tags":["ab"],"mode":"slow"}"#).is_empty());
        assert_eq!(
            problems(r#"{"tags":["abcd",1],"x":0,"mode":"s"}"#),
            ["", "/tags/0", "/tags/1", "/x", "/mode"]
        );
        assert_eq!(problems(r#"{"count":2.5}"#), ["/count"]);
        assert_eq!(problems(r#"{"count":10}"#), ["/count"]);
        assert_eq!(problems("[]"), [""]);
    }

    #[test]
    fn export() {
        let text = to_compact(&sample().to_json());
        assert!(text.contains(r#""count":{"type":["integer","null"],"minimum":1,"maximum":9}"#));
        assert!(text.contains(r#""required":["count"],"additionalProperties":false"#));
    }
}
