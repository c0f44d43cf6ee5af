//! Query strings: parsing, typed access and canonical form.

use std::str::FromStr;

use crate::percent::{decode, encode, DecodeError};

/// Decoded name and value of one query parameter.
pub type Pair = (String, String);

/// Why a typed parameter could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamError {
    /// The parameter does not occur.
    Missing(String),
    /// The parameter occurs more than once.
    Repeated(String),
    /// The text is not a value of the requested type.
    Invalid {
        /// Name of the parameter.
        name: String,
        /// Text that was rejected.
        text: String,
    },
}

/// Decoded parameters of one request, in the order they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Name and value pairs; names may repeat.
    pub pairs: Vec<Pair>,
}

impl Query {
    /// Parses the part of a URL after `?`.
    ///
    /// Pairs are separated by `&`; the first `=` separates name and value, and
    /// a pair without one has an empty value. Empty pairs are skipped. Plus
    /// signs mean blanks.
    ///
    /// # Errors
    ///
    /// The first name or value with a faulty escape fails the whole string.
    pub fn parse(text: &str) -> Result<Query, DecodeError> {
        let mut pairs = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name, true)?, decode(value, true)?));
        }
        Ok(Query { pairs })
    }

    /// Converts the value of a parameter that must occur exactly once.
    ///
    /// # Errors
    ///
    /// A parameter that is absent or repeated is refused, and so is a value
    /// that `T` cannot parse; every error names the parameter.
    ///
    /// # Examples
    ///
    /// ```
    /// use vox_route::query::Query;
    /// let query = Query::parse("page=3&tag=a&tag=b").unwrap();
    /// assert_eq!(query.single::<u32>("page"), Ok(3));
    /// assert!(query.single::<String>("tag").is_err());
    /// ```
    pub fn single<T>(&self, name: &str) -> Result<T, ParamError>
    where
        T: FromStr,
    {
        let mut values = self
            .pairs
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value);
        let text = values
            .next()
            .ok_or_else(|| ParamError::Missing(name.to_string()))?;
        if values.next().is_some() {
            return Err(ParamError::Repeated(name.to_string()));
        }
        text.parse().map_err(|_| ParamError::Invalid {
            name: name.to_string(),
            text: text.clone(),
        })
    }

    /// Writes the parameters in a form suited to cache keys.
    ///
    /// Pairs are sorted by name and then by value, names listed in `ignored`
    /// (tracking parameters, for instance) are left out, and everything is
    /// escaped in one uniform way. Queries that differ only in order or in
    /// spelling of escapes give equal text.
    #[must_use]
    pub fn canonical(&self, ignored: &[&str]) -> String {
        let mut pairs: Vec<&Pair> = self
            .pairs
            .iter()
            .filter(|(name, _)| !ignored.contains(&name.as_str()))
            .collect();
        pairs.sort();
        let parts: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| format!("{}={}", encode(name, ""), encode(value, "")))
            .collect();
        parts.join("&")
    }

    /// Collects the values of `name[field]` parameters of one structure.
    ///
    /// For `filter[size]=3&filter[kind]=x` and the name `filter`, the result
    /// is the pairs `size`/`3` and `kind`/`x` in order. Parameters with an
    /// empty field, or with text after the closing bracket, are not part of
    /// the structure.
    #[must_use]
    pub fn fields<'q>(&'q self, name: &str) -> Vec<(&'q str, &'q str)> {
        self.pairs
            .iter()
            .filter_map(|(full, value)| {
                let field = full
                    .strip_prefix(name)?
                    .strip_prefix('[')?
                    .strip_suffix(']')?;
                if field.is_empty() || field.contains(['[', ']']) {
                    return None;
                }
                Some((field, value.as_str()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let query = Query::parse("q=a+b%26c&&flag&x=1=2").unwrap();
        let shown: Vec<(&str, &str)> = query
            .pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(shown, [("q", "a b&c"), ("flag", ""), ("x", "1=2")]);
        assert!(Query::parse("a=%").is_err());
    }

    #[test]
    fn typed_access_explains_failures() {
        let query = Query::parse("n=x").unwrap();
        assert_eq!(
            query.single::<i32>("n"),
            Err(ParamError::Invalid {
                name: "n".into(),
                text: "x".into()
            })
        );
        assert_eq!(
            query.single::<i32>("m"),
            Err(ParamError::Missing("m".into()))
        );
    }

    #[test]
    fn canonical_form_ignores_order() {
        let left = Query::parse("b=2&a=%7e&utm=1").unwrap();
        let right = Query::parse("a=~&b=2").unwrap();
        assert_eq!(left.canonical(&["utm"]), right.canonical(&[]));
    }

    #[test]
    fn bracket_fields_are_grouped() {
        let query = Query::parse("f[a]=1&f[]=2&f[b][c]=3&g[a]=4&f[d]=5").unwrap();
        assert_eq!(query.fields("f"), [("a", "1"), ("d", "5")]);
    }
}
