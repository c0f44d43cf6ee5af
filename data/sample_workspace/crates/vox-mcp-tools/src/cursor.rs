//! Opaque pagination cursors.

use std::fmt;

const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A position in a listing, tied to the query that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Number of items already delivered.
    pub offset: u32,
    /// Fingerprint of the query.
    pub query: u32,
}

/// Why a cursor from a client was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorError {
    /// Not a text this module produced.
    Malformed,
    /// Made for another query.
    Foreign,
}

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CursorError::Malformed => "malformed cursor",
            CursorError::Foreign => "cursor belongs to another query",
        })
    }
}

impl std::error::Error for CursorError {}

/// Hashes the parts of a query to 32 bits.
///
/// The parts are fed to FNV-1a with a zero byte after each, so that moving a
/// letter from one part to the next changes the result. It guards against mixed
/// up cursors, not against forgery.
#[must_use]
pub fn query_fingerprint(parts: &[&str]) -> u32 {
    let mut hash = 0x811c_9dc5u32;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash ^= u32::from(byte);
            hash = hash.wrapping_mul(0x0100_0193);
        }
    }
    hash
}

impl Cursor {
    /// Writes the cursor as 14 letters and digits.
    ///
    /// Offset and fingerprint are packed in 64 bits, six check bits are appended
    /// and the whole is written in base 32 with an alphabet that avoids
    /// characters which look alike.
    pub fn encode(self) -> String {
        let packed = u64::from(self.offset) << 32 | u64::from(self.query);
        let mut wide = u128::from(packed) << 6 | u128::from(check_bits(packed));
        let mut out = [0u8; 14];
        for slot in out.iter_mut().rev() {
            *slot = ALPHABET[(wide & 31) as usize];
            wide >>= 5;
        }
        out.iter().map(|&b| char::from(b)).collect()
    }

    /// Reads a cursor back and checks that it belongs to a query.
    ///
    /// # Errors
    ///
    /// [`CursorError::Malformed`] for a wrong length, a foreign character or a
    /// wrong check value; [`CursorError::Foreign`] if the fingerprint is not
    /// `query`.
    pub fn decode(text: &str, query: u32) -> Result<Cursor, CursorError> {
        if text.len() != 14 {
            return Err(CursorError::Malformed);
        }
        let mut wide = 0u128;
        for byte in text.bytes() {
            let digit = ALPHABET
                .iter()
                .position(|&a| a == byte)
                .ok_or(CursorError::Malformed)?;
            wide = wide << 5 | digit as u128;
        }
        let packed = u64::try_from(wide >> 6).map_err(|_| CursorError::Malformed)?;
        if (wide & 63) as u8 != check_bits(packed) {
            return Err(CursorError::Malformed);
        }
        let cursor = Cursor {
            offset: (packed >> 32) as u32,
            query: packed as u32,
        };
        if cursor.query == query {
            Ok(cursor)
        } else {
            Err(CursorError::Foreign)
        }
    }
}

fn check_bits(packed: u64) -> u8 {
    (packed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as u8
}

/// Cuts one page out of a listing.
///
/// Without a cursor the first page is given, otherwise the one that begins where
/// the last ended. Returns the items and, unless the listing is exhausted, the
/// text of the next cursor. A page holds at least one item per call if any are
/// left, even when `page_size` is zero.
///
/// # Errors
///
/// Those of [`Cursor::decode`]. An offset past the end, as after items were
/// removed, gives an empty last page.
pub fn page_of<'a, T>(
    items: &'a [T],
    page_size: usize,
    cursor: Option<&str>,
    query: u32,
) -> Result<(&'a [T], Option<String>), CursorError> {
    let start = match cursor {
        None => 0,
        Some(text) => Cursor::decode(text, query)?.offset as usize,
    };
    let rest = items.get(start..).unwrap_or(&[]);
    let page = &rest[..rest.len().min(page_size.max(1))];
    let offset = start + page.len();
    let more = offset < items.len();
    let next = u32::try_from(offset)
        .ok()
        .filter(|_| more && !page.is_empty());
    Ok((page, next.map(|offset| Cursor { offset, query }.encode())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        let query = query_fingerprint(&["tools", "speak"]);
        let cursor = Cursor {
            offset: 123_456,
            query,
        };
        let text = cursor.encode();
        assert_eq!(text.len(), 14);
        assert_eq!(Cursor::decode(&text, query), Ok(cursor));
        assert_eq!(Cursor::decode(&text, query ^ 1), Err(CursorError::Foreign));
        assert_eq!(Cursor::decode("", query), Err(CursorError::Malformed));
        assert_eq!(
            Cursor::decode("llllllllllllll", query),
            Err(CursorError::Malformed)
        );
        assert_ne!(
            query_fingerprint(&["ab", "c"]),
            query_fingerprint(&["a", "bc"])
        );
    }

    #[test]
    fn paging_visits_everything() {
        let items: Vec<u32> = (0..23).collect();
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let (page, next) = page_of(&items, 5, cursor.as_deref(), 7).expect("own cursor");
            seen.extend_from_slice(page);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, items);
        assert_eq!(page_of::<u8>(&[], 5, None, 7), Ok((&[][..], None)));
    }
}
