//! Requests and responses.

mod budget;
mod framing;

pub use budget::{in_flight_order, TokenBucket};
pub use framing::{encode_frame, FrameDecoder, FrameError};

use crate::json::{Members, Value};

/// A request or, without an id, a notification.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Number or string chosen by the caller; absent for notifications.
    pub id: Option<Value>,
    /// Name of the method.
    pub method: String,
    /// Arguments; null if there were none.
    pub params: Value,
}

/// An error to send back.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcError {
    /// One of the reserved codes, or a positive one of the server's own.
    pub code: i32,
    /// One sentence for people.
    pub message: String,
}

impl RpcError {
    /// The message is no valid request.
    pub const INVALID_REQUEST: i32 = -32600;
    /// The method's arguments are wrong.
    pub const INVALID_PARAMS: i32 = -32602;
}

impl Request {
    /// Interprets a parsed message as a request.
    ///
    /// The version member must be `"2.0"`, the method a string that does not
    /// begin with the reserved prefix `rpc.`, the id a string or an integer if
    /// present, and the parameters an array or object if present.
    ///
    /// # Errors
    ///
    /// An [`RpcError`] with code -32600 that names the first faulty member.
    pub fn from_value(message: &Value) -> Result<Request, RpcError> {
        let fault = |what: &str| RpcError {
            code: RpcError::INVALID_REQUEST,
            message: format!("invalid request: {what}"),
        };
        if message.get("jsonrpc") != Some(&Value::from("2.0")) {
            return Err(fault("version must be 2.0"));
        }
        let method = match message.get("method") {
            Some(Value::String(name)) if !name.starts_with("rpc.") => name.clone(),
            Some(Value::String(_)) => return Err(fault("reserved method name")),
            _ => return Err(fault("method must be a string")),
        };
        let id = match message.get("id") {
            None => None,
            Some(id @ Value::String(_)) => Some(id.clone()),
            Some(id @ Value::Number(n)) if n.fract() == 0.0 => Some(id.clone()),
            Some(_) => return Err(fault("id must be a string or an integer")),
        };
        let params = match message.get("params") {
            None => Value::Null,
            Some(params @ (Value::Array(_) | Value::Object(_))) => params.clone(),
            Some(_) => return Err(fault("params must be an array or object")),
        };
        Ok(Request { id, method, params })
    }

    /// Wraps a handler's outcome in a response to this request.
    ///
    /// Notifications are never answered, not even on failure, and give `None`.
    pub fn respond(&self, outcome: Result<Value, RpcError>) -> Option<Value> {
        let id = self.id.clone()?;
        let mut members: Members = vec![
            ("jsonrpc".to_owned(), Value::from("2.0")),
            ("id".to_owned(), id),
        ];
        match outcome {
            Ok(result) => members.push(("result".to_owned(), result)),
            Err(error) => {
                let mut body = Value::Null;
                body.set("code", Value::from(f64::from(error.code)));
                body.set("message", Value::String(error.message));
                members.push(("error".to_owned(), body));
            }
        }
        Some(Value::Object(members))
    }
}

#[doc = "Picks the protocol version both sides can speak."]
#[doc = ""]
#[doc = "Versions are ISO dates, so the order of the strings is the order in time. The"]
#[doc = "requested one is used if supported; otherwise the newest supported version"]
#[doc = "that is older, and failing that the oldest one. `None` if nothing is"]
#[doc = "supported."]
pub fn negotiate_version<'a>(requested: &str, supported: &[&'a str]) -> Option<&'a str> {
    let mut sorted = supported.to_vec();
    sorted.sort_unstable();
    let newer = sorted.partition_point(|v| *v <= requested);
    sorted.get(newer.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{parse, to_compact};

    fn request(text: &str) -> Result<Request, RpcError> {
        Request::from_value(&parse(text).expect("valid JSON"))
    }

    #[test]
    fn requests() {
        let ok =
            request(r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#).expect("valid request");
        assert_eq!(ok.params, Value::Null);
        let reply = ok.respond(Ok(Value::Array(vec![]))).expect("has an id");
        assert_eq!(
            to_compact(&reply),
            r#"{"jsonrpc":"2.0","id":7,"result":[]}"#
        );
        for bad in [
            r#"{"method":"x"}"#,
            r#"{"jsonrpc":"2.0","method":"rpc.x"}"#,
            r#"{"jsonrpc":"2.0","method":"x","id":1.5}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":3}"#,
        ] {
            assert_eq!(
                request(bad).map_err(|e| e.code),
                Err(RpcError::INVALID_REQUEST)
            );
        }
    }

    #[test]
    fn notifications_stay_unanswered() {
        let note = request(r#"{"jsonrpc":"2.0","method":"x"}"#).expect("valid request");
        let error = RpcError {
            code: RpcError::INVALID_PARAMS,
            message: "no".into(),
        };
        assert_eq!(note.respond(Err(error)), None);
    }

    #[test]
    fn versions() {
        let supported = ["2025-03-26", "2024-11-05"];
        assert_eq!(
            negotiate_version("2025-01-01", &supported),
            Some("2024-11-05")
        );
        assert_eq!(
            negotiate_version("2026-01-01", &supported),
            Some("2025-03-26")
        );
        assert_eq!(
            negotiate_version("2020-01-01", &supported),
            Some("2024-11-05")
        );
        assert_eq!(negotiate_version("2020-01-01", &[]), None);
    }
}
