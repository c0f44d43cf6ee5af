//! Resource addresses and prompt texts with placeholders.

use crate::json::{to_compact, Pointer, Value};
use std::collections::BTreeMap;

/// Fills `{{/pointer}}` placeholders in a prompt from a JSON document.
///
/// A placeholder may give a fallback after a bar, as in `{{/name|friend}}`,
/// which is used when the pointer leads nowhere or to null. Strings are inserted
/// as they are, other values as compact JSON. Text outside placeholders is kept.
///
/// # Errors
///
/// The text of the first placeholder that is malformed, not closed, or has
/// neither a value nor a fallback.
pub fn fill_prompt(template: &str, data: &Value) -> Result<String, String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find("{{") {
        out.push_str(&rest[..open]);
        let body = &rest[open + 2..];
        let close = body.find("}}").ok_or_else(|| body.to_owned())?;
        let inner = &body[..close];
        let (path, fallback) = match inner.split_once('|') {
            Some((path, fallback)) => (path.trim(), Some(fallback.trim())),
            None => (inner.trim(), None),
        };
        let pointer = Pointer::parse(path).map_err(|_| inner.to_owned())?;
        match (pointer.resolve(data), fallback) {
            (Some(Value::String(text)), _) => out.push_str(text),
            (None | Some(Value::Null), Some(fallback)) => out.push_str(fallback),
            (None | Some(Value::Null), None) => return Err(inner.to_owned()),
            (Some(other), _) => out.push_str(&to_compact(other)),
        }
        rest = &body[close + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Matches a resource address against a template such as `vox://{kind}/{+path}`.
///
/// A plain name in braces takes a non-empty run without slashes, one with `+`
/// any non-empty run; both take as little as possible to let the rest match.
/// Returns the captured parts by name, still percent-encoded, or `None` if the
/// address does not fit or the template has an unclosed brace.
#[must_use]
pub fn match_address<'a>(
    template: &'a str,
    address: &'a str,
) -> Option<BTreeMap<&'a str, &'a str>> {
    let Some(open) = template.find('{') else {
        return (template == address).then(BTreeMap::new);
    };
    let after = address.strip_prefix(&template[..open])?;
    let (name, tail) = template[open + 1..].split_once('}')?;
    let (name, greedy) = match name.strip_prefix('+') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let ends = after.char_indices().map(|(at, c)| (at + c.len_utf8(), c));
    for (end, c) in ends {
        if c == '/' && !greedy {
            return None;
        }
        if let Some(mut captures) = match_address(tail, &after[end..]) {
            captures.insert(name, &after[..end]);
            return Some(captures);
        }
    }
    None
}

/// Encodes a text so that it can stand in one segment of an address.
///
/// ASCII letters, digits and `-._~` are kept; every other byte of the UTF-8 form
/// becomes a percent sign and two upper-case hexadecimal digits.
pub fn percent_encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// Decodes percent escapes.
///
/// Digits may be in either case and a plus sign stays a plus sign. `None` if an
/// escape is cut short or not hexadecimal, or if the bytes are not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let digit = |i: usize| char::from(*bytes.get(i)?).to_digit(16);
        let value = digit(at + 1)? * 16 + digit(at + 2)?;
        out.push(value as u8);
        at += 3;
    }
    String::from_utf8(out).ok()
}

/**
Shortens a long tool output, keeping its beginning and its end.

At most `max_lines` lines are kept, two thirds of them (rounded up) from the
start; one line in between tells how many were left out and is not counted.
Texts that fit are returned unchanged. With `max_lines` zero only the notice
remains.
*/
pub fn clip_output(text: &str, max_lines: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= max_lines {
        return text.to_owned();
    }
    let head = (max_lines * 2).div_ceil(3);
    let tail = max_lines - head;
    let omitted = lines.len() - max_lines;
    let notice = format!("[{omitted} lines left out]");
    let mut kept: Vec<&str> = lines[..head].to_vec();
    kept.push(&notice);
    kept.extend_from_slice(&lines[lines.len() - tail..]);
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn prompts() {
        let data = parse(r#"{"user":{"name":"Ada"},"n":[1,2],"gone":null}"#).expect("valid JSON");
        assert_eq!(
            fill_prompt("Hi {{ /user/name }}: {{/n}} {{/gone|none}}{{/x|}}!", &data),
            Ok("Hi Ada: [1,2] none!".to_owned())
        );
        assert_eq!(fill_prompt("{{/gone}}", &data), Err("/gone".to_owned()));
        assert_eq!(fill_prompt("{{name}}", &data), Err("name".to_owned()));
        assert_eq!(fill_prompt("a {{/n", &data), Err("/n".to_owned()));
    }

    #[test]
    fn addresses() {
        let found = match_address("vox://{kind}/{+path}.vox", "vox://src/a/b.vox").expect("fits");
        assert_eq!((found["kind"], found["path"]), ("src", "a/b"));
        assert_eq!(match_address("vox://{kind}", "vox://a/b"), None);
        assert_eq!(match_address("vox://{kind}", "vox://"), None);
        assert_eq!(match_address("a{b", "ab"), None);
    }

    #[test]
    fn percent_escapes() {
        assert_eq!(percent_encode("a b/ü~"), "a%20b%2F%C3%BC~");
        assert_eq!(
            percent_decode("a%20b%2f%C3%BC~+"),
            Some("a b/ü~+".to_owned())
        );
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(percent_decode(bad), None);
        }
    }

    #[test]
    fn clipping() {
        assert_eq!(
            clip_output("1\n2\n3\n4\n5\n6", 3),
            "1\n2\n[3 lines left out]\n6"
        );
        assert_eq!(clip_output("1\n2\n", 2), "1\n2\n");
        assert_eq!(clip_output("1\n2", 0), "[2 lines left out]");
    }
}
