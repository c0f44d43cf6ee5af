//! A routing table over patterns and methods.

use crate::pattern::specificity::compare;
use crate::pattern::{Pattern, PatternError};

/// Outcome of looking up a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'r, T> {
    /// A handler with the captured values.
    Handler(&'r T, Vec<(&'r str, String)>),
    /// The path exists but not for this method; the allowed ones are listed.
    WrongMethod(Vec<&'r str>),
    /// No pattern matches the path.
    NotFound,
}

/// A route that could not be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// The pattern is malformed.
    Pattern(PatternError),
    /// The same method and an equivalent pattern are present already.
    Taken(String),
}

#[derive(Clone, Debug)]
struct Route<T> {
    method: String,
    pattern: Pattern,
    source: String,
    handler: T,
}

/// Maps methods and paths to handlers of any type.
#[derive(Clone, Debug)]
pub struct Router<T> {
    routes: Vec<Route<T>>,
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Router { routes: Vec::new() }
    }
}

impl<T> Router<T> {
    /// Adds a route and keeps the table ordered by specificity.
    ///
    /// The position is found by binary search; among equally specific routes
    /// the new one goes last.
    ///
    /// # Errors
    ///
    /// Malformed patterns, and routes that match exactly the same requests as
    /// an earlier one (equal up to capture names), whose text is returned.
    pub fn insert(&mut self, method: &str, text: &str, handler: T) -> Result<(), InsertError> {
        let pattern = Pattern::parse(text).map_err(InsertError::Pattern)?;
        let start = self
            .routes
            .partition_point(|route| compare(&route.pattern, &pattern).is_lt());
        let end = self
            .routes
            .partition_point(|route| compare(&route.pattern, &pattern).is_le());
        let twin = self.routes[start..end]
            .iter()
            .find(|route| route.method == method && same_shape(&route.pattern, &pattern));
        if let Some(route) = twin {
            return Err(InsertError::Taken(route.source.clone()));
        }
        let route = Route {
            method: method.to_string(),
            pattern,
            source: text.to_string(),
            handler,
        };
        self.routes.insert(end, route);
        Ok(())
    }

    /// Finds the most specific route for a request.
    ///
    /// Routes are tried in order of specificity. `HEAD` falls back to `GET`
    /// if no route of its own matches. When only routes of other methods match
    /// the path, their methods are collected without repeats, which is what an
    /// `Allow` header needs.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Found<'_, T> {
        let mut fallback = None;
        let mut allowed: Vec<&str> = Vec::new();
        for route in &self.routes {
            let Some(captures) = route.pattern.captures(path) else {
                continue;
            };
            if route.method == method {
                return Found::Handler(&route.handler, captures);
            }
            if method == "HEAD" && route.method == "GET" && fallback.is_none() {
                fallback = Some((&route.handler, captures));
            }
            if !allowed.contains(&route.method.as_str()) {
                allowed.push(&route.method);
            }
        }
        match fallback {
            Some((handler, captures)) => Found::Handler(handler, captures),
            None if allowed.is_empty() => Found::NotFound,
            None => Found::WrongMethod(allowed),
        }
    }
}

/// Compares patterns while ignoring the names of their captures.
///
/// Literals must agree exactly and captures in shape; a rest only equals a
/// rest.
pub(crate) fn same_shape(left: &Pattern, right: &Pattern) -> bool {
    use crate::pattern::Segment::{Capture, Fixed, Rest};
    left.segments.len() == right.segments.len()
        && left
            .segments
            .iter()
            .zip(&right.segments)
            .all(|pair| match pair {
                (Fixed(a), Fixed(b)) => a == b,
                (Capture(_, a), Capture(_, b)) => a == b,
                (Rest(_), Rest(_)) => true,
                _ => false,
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<&'static str> {
        let mut router = Router::default();
        router.insert("GET", "/u/{name}", "by name").unwrap();
        router.insert("GET", "/u/{id:int}", "by id").unwrap();
        router.insert("POST", "/u/{id:int}", "update").unwrap();
        router.insert("GET", "/{rest*}", "page").unwrap();
        router
    }

    #[test]
    fn the_most_specific_route_wins() {
        let router = router();
        assert_eq!(
            router.find("GET", "/u/7"),
            Found::Handler(&"by id", vec![("id", "7".into())])
        );
        assert_eq!(
            router.find("HEAD", "/u/ann"),
            Found::Handler(&"by name", vec![("name", "ann".into())])
        );
        assert_eq!(
            router.find("PUT", "/u/7"),
            Found::WrongMethod(vec!["GET", "POST"])
        );
    }

    #[test]
    fn twins_are_refused() {
        let mut router = router();
        assert_eq!(
            router.insert("GET", "/u/{other}", "again"),
            Err(InsertError::Taken("/u/{name}".into()))
        );
        assert!(router.insert("PUT", "/u/{other}", "ok").is_ok());
        assert!(matches!(
            router.insert("GET", "u", "bad"),
            Err(InsertError::Pattern(PatternError::NotAbsolute))
        ));
    }

    #[test]
    fn an_empty_router_finds_nothing() {
        assert_eq!(Router::<u8>::default().find("GET", "/"), Found::NotFound);
    }
}
