//! Route patterns: parsing, matching and reverse building.

pub mod specificity;

use crate::percent::{decode, encode};

/// What text a captured segment accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Decimal digits, at least one.
    Int,
    /// ASCII letters, digits and hyphens.
    Slug,
    /// Anything without a slash.
    Any,
}

/// One part of a pattern between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Literal text.
    Fixed(String),
    /// A named capture of one segment.
    Capture(String, Shape),
    /// A named capture of all remaining segments, possibly none.
    Rest(String),
}

/// A parsed route pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The segments in order; a `Rest` can only be last.
    pub segments: Vec<Segment>,
}

/// Why a pattern is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// The pattern does not start with a slash.
    NotAbsolute,
    /// Braces are unbalanced or not around a whole segment.
    BadBraces(String),
    /// The capture has no name or one that is not an identifier.
    BadName(String),
    /// The word after the colon is not a known shape.
    UnknownShape(String),
    /// Two captures share a name.
    DuplicateName(String),
    /// A rest capture is followed by more segments.
    RestNotLast,
}

impl Shape {
    /// Checks a decoded segment against the shape.
    ///
    /// No shape accepts the empty text, so `/users//edit` does not match a
    /// pattern with a capture in the middle.
    #[must_use]
    pub fn accepts(self, text: &str) -> bool {
        if text.is_empty() {
            return false;
        }
        match self {
            Shape::Int => text.bytes().all(|byte| byte.is_ascii_digit()),
            Shape::Slug => text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            Shape::Any => !text.contains('/'),
        }
    }
}

fn parse_segment(text: &str) -> Result<Segment, PatternError> {
    let Some(inner) = text.strip_prefix('{') else {
        if text.contains(['{', '}']) {
            return Err(PatternError::BadBraces(text.to_string()));
        }
        return Ok(Segment::Fixed(text.to_string()));
    };
    let inner = inner
        .strip_suffix('}')
        .filter(|inner| !inner.contains(['{', '}']))
        .ok_or_else(|| PatternError::BadBraces(text.to_string()))?;
    let (name, shape) = match inner.split_once(':') {
        Some((name, "int")) => (name, Shape::Int),
        Some((name, "slug")) => (name, Shape::Slug),
        Some((_, other)) => return Err(PatternError::UnknownShape(other.to_string())),
        None => (inner, Shape::Any),
    };
    let (name, rest) = match name.strip_suffix('*') {
        Some(name) if shape == Shape::Any => (name, true),
        _ => (name, false),
    };
    let starts_well = name.starts_with(|ch: char| ch.is_ascii_alphabetic() || ch == '_');
    let identifier = |ch: char| ch.is_ascii_alphanumeric() || ch == '_';
    if !starts_well || !name.chars().all(identifier) {
        return Err(PatternError::BadName(name.to_string()));
    }
    Ok(if rest {
        Segment::Rest(name.to_string())
    } else {
        Segment::Capture(name.to_string(), shape)
    })
}

impl Pattern {
    /// Parses a pattern such as `/users/{id:int}/files/{path*}`.
    ///
    /// A segment is either literal text or one capture in braces: `{name}`,
    /// `{name:int}`, `{name:slug}` or, at the end only, `{name*}`. A slash at
    /// the end of the pattern is ignored.
    ///
    /// # Errors
    ///
    /// See [`PatternError`]; the first fault from the left is reported.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        let body = text.strip_prefix('/').ok_or(PatternError::NotAbsolute)?;
        let body = body.strip_suffix('/').unwrap_or(body);
        let mut segments = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for part in body.split('/').filter(|_| !body.is_empty()) {
            if matches!(segments.last(), Some(Segment::Rest(_))) {
                return Err(PatternError::RestNotLast);
            }
            let segment = parse_segment(part)?;
            if let Segment::Capture(name, _) | Segment::Rest(name) = &segment {
                if names.contains(name) {
                    return Err(PatternError::DuplicateName(name.clone()));
                }
                names.push(name.clone());
            }
            segments.push(segment);
        }
        Ok(Pattern { segments })
    }

    /// Matches a request path and returns the decoded captures by name.
    ///
    /// The path is split before it is decoded, so an escaped slash stays
    /// inside its segment. A rest capture joins what is left with slashes and
    /// may be empty. Faulty escapes, a segment of the wrong shape, and
    /// segments left over on either side mean no match. One trailing slash in
    /// the path is ignored.
    #[must_use]
    pub fn captures<'p>(&'p self, path: &str) -> Option<Vec<(&'p str, String)>> {
        let body = path.strip_prefix('/')?;
        let body = body.strip_suffix('/').unwrap_or(body);
        let mut parts = body.split('/').filter(|_| !body.is_empty());
        let mut found = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Fixed(text) => {
                    if decode(parts.next()?, false).ok()? != *text {
                        return None;
                    }
                }
                Segment::Capture(name, shape) => {
                    let value = decode(parts.next()?, false).ok()?;
                    // An escaped slash was decoded after splitting; hide it
                    // from the shape test.
                    if !shape.accepts(&value.replace('/', "_")) {
                        return None;
                    }
                    found.push((name.as_str(), value));
                }
                Segment::Rest(name) => {
                    let rest: Result<Vec<String>, _> =
                        parts.by_ref().map(|part| decode(part, false)).collect();
                    found.push((name.as_str(), rest.ok()?.join("/")));
                }
            }
        }
        match parts.next() {
            None => Some(found),
            Some(_) => None,
        }
    }

    /// Builds a path from the pattern by filling in its captures.
    ///
    /// `lookup` supplies the value for a name. Values are escaped; in a rest
    /// capture slashes are kept as separators. The outcome always matches the
    /// pattern again.
    ///
    /// # Errors
    ///
    /// The name of the first capture that has no value, or whose value does
    /// not have the required shape.
    pub fn build<'v, F>(&self, mut lookup: F) -> Result<String, String>
    where
        F: FnMut(&str) -> Option<&'v str>,
    {
        let mut path = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Fixed(text) => {
                    path.push('/');
                    path.push_str(&encode(text, ""));
                }
                Segment::Capture(name, shape) => {
                    let value = lookup(name)
                        .filter(|value| shape.accepts(value))
                        .ok_or_else(|| name.clone())?;
                    path.push('/');
                    path.push_str(&encode(value, ""));
                }
                Segment::Rest(name) => {
                    let value = lookup(name).ok_or_else(|| name.clone())?;
                    if !value.is_empty() {
                        path.push('/');
                        path.push_str(&encode(value.trim_matches('/'), "/"));
                    }
                }
            }
        }
        if path.is_empty() {
            path.push('/');
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faulty_patterns_are_explained() {
        let error = |text| Pattern::parse(text).unwrap_err();
        assert_eq!(error("users"), PatternError::NotAbsolute);
        assert_eq!(error("/a{b}"), PatternError::BadBraces("a{b}".into()));
        assert_eq!(error("/{1x}"), PatternError::BadName("1x".into()));
        assert_eq!(error("/{a:hex}"), PatternError::UnknownShape("hex".into()));
        assert_eq!(error("/{a}/{a}"), PatternError::DuplicateName("a".into()));
        assert_eq!(error("/{a*}/b"), PatternError::RestNotLast);
    }

    #[test]
    fn captures_are_decoded_after_splitting() {
        let pattern = Pattern::parse("/users/{id:int}/files/{path*}").unwrap();
        assert_eq!(
            pattern.captures("/users/42/files/a%2Fb/c"),
            Some(vec![("id", "42".into()), ("path", "a/b/c".into())])
        );
        assert_eq!(
            pattern.captures("/users/42/files/"),
            Some(vec![("id", "42".into()), ("path", String::new())])
        );
        assert_eq!(pattern.captures("/users/x/files/a"), None);
        assert_eq!(pattern.captures("/users/42"), None);
    }

    #[test]
    fn built_paths_match_again() {
        let pattern = Pattern::parse("/tag/{name}/{rest*}").unwrap();
        let path = pattern
            .build(|name| Some(if name == "name" { "a b" } else { "x/y" }))
            .unwrap();
        assert_eq!(path, "/tag/a%20b/x/y");
        assert!(pattern.captures(&path).is_some());
        assert_eq!(pattern.build(|_| None), Err("name".into()));
    }
}
