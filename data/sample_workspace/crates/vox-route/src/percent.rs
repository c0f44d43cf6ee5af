//! Percent encoding of URL components.

use std::borrow::Cow;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Why a component could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// `%` is not followed by two hexadecimal digits.
    BadEscape {
        /// Byte offset of the percent sign.
        at: usize,
    },
    /// The decoded bytes are not UTF-8.
    NotUtf8,
}

/// Tells whether a byte may stand unescaped in every URL component.
///
/// These are the ASCII letters and digits and the four marks `-`, `.`, `_`
/// and `~`. All other bytes, including those of non-ASCII characters, are
/// reserved or unsafe somewhere.
#[inline]
#[must_use]
pub const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' || byte == b'_' || byte == b'~'
}

/// Escapes every byte that is neither unreserved nor listed in `keep`.
///
/// Escapes use upper-case digits. Non-ASCII bytes are always escaped, even if
/// they occur in `keep`, so the output is pure ASCII. If nothing needs an
/// escape, the input is returned without copying.
///
/// # Examples
///
/// ```
/// use vox_route::percent::encode;
/// assert_eq!(encode("naïve/1 2", "/"), "na%C3%AFve/1%202");
/// ```
#[must_use]
pub fn encode<'t>(text: &'t str, keep: &str) -> Cow<'t, str> {
    let plain =
        |byte: u8| is_unreserved(byte) || (byte.is_ascii() && keep.as_bytes().contains(&byte));
    let escapes = text.bytes().filter(|&byte| !plain(byte)).count();
    if escapes == 0 {
        return Cow::Borrowed(text);
    }
    let mut out: Vec<u8> = Vec::with_capacity(text.len() + 2 * escapes);
    for byte in text.bytes() {
        if plain(byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
    // SAFETY: `plain` accepts ASCII bytes only and the escapes are ASCII, so
    // `out` consists of ASCII bytes and is valid UTF-8.
    Cow::Owned(unsafe { String::from_utf8_unchecked(out) })
}

/// Resolves percent escapes and, on request, reads `+` as a blank.
///
/// The plus convention belongs to query strings and must be off for paths.
///
/// # Errors
///
/// Incomplete or non-hexadecimal escapes are reported with their offset in the
/// input; decoded bytes that do not form UTF-8 are rejected as a whole.
pub fn decode(text: &str, plus_is_blank: bool) -> Result<String, DecodeError> {
    let bytes = text.as_bytes();
    let digit = |at: usize| {
        let byte = bytes.get(at).copied()?;
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else {
                    return Err(DecodeError::BadEscape { at });
                };
                out.push(high << 4 | low);
                at += 3;
            }
            b'+' if plus_is_blank => {
                out.push(b' ');
                at += 1;
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_err(|_| DecodeError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_round_trips() {
        for text in ["", "a-b_c~", "100% ü/&=+", "\u{0}\n"] {
            assert_eq!(decode(&encode(text, ""), false).as_deref(), Ok(text));
        }
        assert!(matches!(encode("plain", ""), Cow::Borrowed("plain")));
        assert_eq!(encode("é", "é"), "%C3%A9");
    }

    #[test]
    fn malformed_escapes_are_located() {
        assert_eq!(decode("ab%4", false), Err(DecodeError::BadEscape { at: 2 }));
        assert_eq!(decode("%zz", false), Err(DecodeError::BadEscape { at: 0 }));
        assert_eq!(decode("%ff", false), Err(DecodeError::NotUtf8));
        assert_eq!(decode("a+b", true).as_deref(), Ok("a b"));
        assert_eq!(decode("a+b", false).as_deref(), Ok("a+b"));
    }
}
