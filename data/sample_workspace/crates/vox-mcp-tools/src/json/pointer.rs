//! JSON Pointer: paths such as `/tools/0/name`.

use super::Value;
use std::fmt;

/// A parsed pointer, one token per step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer {
    tokens: Vec<String>,
}

/// Why a pointer was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointerError {
    /// A pointer that is not empty must begin with a slash.
    NoSlash,
    /// A tilde that neither 0 nor 1 follows, in the given token.
    Escape(usize),
    /// The value at the given token cannot be entered that way.
    Blocked(usize),
}

impl fmt::Display for PointerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PointerError::NoSlash => f.write_str("pointer must start with '/'"),
            PointerError::Escape(i) => write!(f, "bad escape in step {i}"),
            PointerError::Blocked(i) => write!(f, "step {i} does not exist"),
        }
    }
}

impl std::error::Error for PointerError {}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for token in &self.tokens {
            write!(f, "/{}", token.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

impl Pointer {
    /// Parses the textual form.
    ///
    /// The empty text points to the whole document. Within tokens `~1` stands
    /// for a slash and `~0` for a tilde.
    ///
    /// # Errors
    ///
    /// [`PointerError::NoSlash`] or, for any other use of a tilde,
    /// [`PointerError::Escape`].
    pub fn parse(text: &str) -> Result<Pointer, PointerError> {
        if text.is_empty() {
            return Ok(Pointer::default());
        }
        let body = text.strip_prefix('/').ok_or(PointerError::NoSlash)?;
        let mut tokens = Vec::new();
        for (index, raw) in body.split('/').enumerate() {
            let mut token = String::with_capacity(raw.len());
            let mut chars = raw.chars();
            while let Some(c) = chars.next() {
                match c {
                    '~' => match chars.next() {
                        Some('0') => token.push('~'),
                        Some('1') => token.push('/'),
                        _ => return Err(PointerError::Escape(index)),
                    },
                    c => token.push(c),
                }
            }
            tokens.push(token);
        }
        Ok(Pointer { tokens })
    }

    /// Makes the pointer to a child of where this one points.
    #[must_use]
    pub fn child(&self, token: &str) -> Pointer {
        let mut tokens = self.tokens.clone();
        tokens.push(token.to_owned());
        Pointer { tokens }
    }

    /// Follows the pointer through a document.
    ///
    /// Array steps must be plain decimal numbers without leading zeros. `None`
    /// if any step does not exist, which includes the `-` of insertions.
    pub fn resolve<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.tokens.iter().try_fold(root, |at, token| match at {
            Value::Object(_) => at.get(token),
            Value::Array(items) => items.get(array_index(token)?),
            _ => None,
        })
    }

    /// Puts a value where the pointer leads, creating objects on the way.
    ///
    /// Missing members and nulls become objects as needed. In an array the step
    /// may name an existing element, or `-` or the length to append one. The
    /// replaced value is returned if there was one.
    ///
    /// # Errors
    ///
    /// [`PointerError::Blocked`] with the number of the step that meets a plain
    /// value or an array index out of range. The document may then have gained
    /// empty objects but loses nothing.
    pub fn assign(&self, root: &mut Value, value: Value) -> Result<Option<Value>, PointerError> {
        let mut at = root;
        let mut fresh = false;
        for (index, token) in self.tokens.iter().enumerate() {
            if *at == Value::Null {
                *at = Value::Object(Vec::new());
            }
            at = match at {
                Value::Object(members) => {
                    let slot = members.iter().position(|(key, _)| key == token);
                    fresh = slot.is_none();
                    if fresh {
                        members.push((token.clone(), Value::Null));
                    }
                    let last = members.len() - 1;
                    &mut members[slot.unwrap_or(last)].1
                }
                Value::Array(items) => {
                    let slot = if token == "-" {
                        Some(items.len())
                    } else {
                        array_index(token)
                    };
                    let slot = slot
                        .filter(|&i| i <= items.len())
                        .ok_or(PointerError::Blocked(index))?;
                    fresh = slot == items.len();
                    if fresh {
                        items.push(Value::Null);
                    }
                    &mut items[slot]
                }
                _ => return Err(PointerError::Blocked(index)),
            };
        }
        let old = std::mem::replace(at, value);
        Ok((!fresh).then_some(old))
    }

    /// Lists the pointers of all leaves: scalars and empty containers.
    ///
    /// They come in document order, each with its value. A scalar document has
    /// one leaf, at the empty pointer.
    pub fn leaves(root: &Value) -> Vec<(Pointer, &Value)> {
        let mut out = Vec::new();
        let mut stack = vec![(Pointer::default(), root)];
        while let Some((pointer, value)) = stack.pop() {
            match value {
                Value::Array(items) if !items.is_empty() => {
                    let steps = items.iter().enumerate().rev();
                    stack.extend(steps.map(|(i, v)| (pointer.child(&i.to_string()), v)));
                }
                Value::Object(members) if !members.is_empty() => {
                    stack.extend(members.iter().rev().map(|(k, v)| (pointer.child(k), v)));
                }
                leaf => out.push((pointer, leaf)),
            }
        }
        out
    }
}

/// Reads an array step: decimal digits without sign or leading zeros.
///
/// `None` for any other text and for numbers that do not fit a `usize`.
fn array_index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with(['0', '+']);
    if plain {
        token.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{parse, to_compact};

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).expect("valid pointer")
    }

    #[test]
    fn syntax() {
        assert_eq!(pointer("/a~1b/~01").tokens, ["a/b", "~1"]);
        assert_eq!(pointer("/a~1b/~01").to_string(), "/a~1b/~01");
        assert_eq!(Pointer::parse("a"), Err(PointerError::NoSlash));
        assert_eq!(Pointer::parse("/a/~2"), Err(PointerError::Escape(1)));
    }

    #[test]
    fn resolving() {
        let doc = parse(r#"{"a":[10,{"":3}]}"#).expect("valid JSON");
        assert_eq!(pointer("/a/1/").resolve(&doc), Some(&Value::from(3.0)));
        assert_eq!(pointer("/a/01").resolve(&doc), None);
        assert_eq!(pointer("/a/-").resolve(&doc), None);
        assert_eq!(pointer("").resolve(&doc), Some(&doc));
    }

    #[test]
    fn assigning() {
        let mut doc = Value::Null;
        assert_eq!(
            pointer("/a/b").assign(&mut doc, Value::Array(vec![])),
            Ok(None)
        );
        assert_eq!(
            pointer("/a/b/-").assign(&mut doc, Value::from(1.0)),
            Ok(None)
        );
        assert_eq!(
            pointer("/a/b/0").assign(&mut doc, Value::from("x")),
            Ok(Some(Value::from(1.0)))
        );
        assert_eq!(to_compact(&doc), r#"{"a":{"b":["x"]}}"#);
        assert_eq!(
            pointer("/a/b/5").assign(&mut doc, Value::Null),
            Err(PointerError::Blocked(2))
        );
        assert_eq!(
            pointer("/a/b/0/c").assign(&mut doc, Value::Null),
            Err(PointerError::Blocked(3))
        );
    }

    #[test]
    fn leaves_in_order() {
        let doc = parse(r#"{"a":[1,[]],"b":{"c":null}}"#).expect("valid JSON");
        let paths: Vec<String> = Pointer::leaves(&doc)
            .iter()
            .map(|(p, _)| p.to_string())
            .collect();
        assert_eq!(paths, ["/a/0", "/a/1", "/b/c"]);
    }
}
