//! Messages in a byte stream, each behind a small header.

use std::fmt;

/// Longest header block that is tolerated.
const MAX_HEADER: usize = 4096;

/// Why a stream cannot be decoded any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// A header line without a colon, or a block that is too long.
    BadHeader,
    /// No usable `Content-Length`.
    NoLength,
    /// The announced length exceeds the decoder's limit.
    TooLong(usize),
    /// The body is not UTF-8.
    NotText,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::BadHeader => f.write_str("malformed header"),
            FrameError::NoLength => f.write_str("no content length"),
            FrameError::TooLong(n) => write!(f, "frame of {n} bytes is too long"),
            FrameError::NotText => f.write_str("body is not UTF-8"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Puts a body behind a `Content-Length` header.
///
/// The length counts bytes, not characters. The result can be written to the
/// stream as it is.
#[must_use]
pub fn encode_frame(body: &str) -> Vec<u8> {
    let mut frame = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    frame.extend_from_slice(body.as_bytes());
    frame
}

/// Collects bytes as they arrive and hands out complete messages.
#[derive(Debug, Clone)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    limit: usize,
}

impl FrameDecoder {
    /// Makes a decoder that refuses bodies longer than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        FrameDecoder {
            buffer: Vec::new(),
            limit,
        }
    }

    /// Appends bytes read from the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next complete message out of the buffer.
    ///
    /// `Ok(None)` means that more bytes are needed. The body may be cut anywhere
    /// between calls to [`FrameDecoder::feed`], even inside a character.
    ///
    /// # Errors
    ///
    /// Any [`FrameError`]. After [`FrameError::NotText`] the frame has been
    /// dropped and decoding can go on; after the others it cannot.
    pub fn next_message(&mut self) -> Result<Option<String>, FrameError> {
        let end = self.buffer.windows(4).position(|w| w == b"\r\n\r\n");
        let Some(end) = end else {
            return if self.buffer.len() > MAX_HEADER {
                Err(FrameError::BadHeader)
            } else {
                Ok(None)
            };
        };
        let length = content_length(&self.buffer[..end])?;
        if length > self.limit {
            return Err(FrameError::TooLong(length));
        }
        let total = end + 4 + length;
        if self.buffer.len() < total {
            return Ok(None);
        }
        let frame: Vec<u8> = self.buffer.drain(..total).collect();
        let body = std::str::from_utf8(&frame[end + 4..]).map_err(|_| FrameError::NotText)?;
        Ok(Some(body.to_owned()))
    }
}

/// Extracts the content length from a header block.
///
/// Names are compared without regard to case and other headers are ignored. If
/// the length is given several times, all values must agree. The block excludes
/// the blank line at its end.
pub(crate) fn content_length(header: &[u8]) -> Result<usize, FrameError> {
    if header.len() > MAX_HEADER {
        return Err(FrameError::BadHeader);
    }
    let text = std::str::from_utf8(header).map_err(|_| FrameError::BadHeader)?;
    let mut found = None;
    for line in text.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or(FrameError::BadHeader)?;
        if !name.trim().eq_ignore_ascii_case("content-length") {
            continue;
        }
        let length: usize = value.trim().parse().map_err(|_| FrameError::NoLength)?;
        if found.is_some_and(|earlier| earlier != length) {
            return Err(FrameError::NoLength);
        }
        found = Some(length);
    }
    found.ok_or(FrameError::NoLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_may_trickle_in() {
        let mut stream = encode_frame("{\"a\":\"é\"}");
        stream.extend(encode_frame("[]"));
        let mut decoder = FrameDecoder::new(100);
        let mut seen = Vec::new();
        for byte in stream {
            decoder.feed(&[byte]);
            while let Some(message) = decoder.next_message().expect("well formed") {
                seen.push(message);
            }
        }
        assert_eq!(seen, ["{\"a\":\"é\"}", "[]"]);
    }

    #[test]
    fn faults() {
        let outcome = |bytes: &[u8]| {
            let mut decoder = FrameDecoder::new(10);
            decoder.feed(bytes);
            decoder.next_message()
        };
        assert_eq!(outcome(b"X: 1\r\n\r\n"), Err(FrameError::NoLength));
        assert_eq!(outcome(b"nonsense\r\n\r\n"), Err(FrameError::BadHeader));
        assert_eq!(
            outcome(b"Content-Length: 11\r\n\r\n"),
            Err(FrameError::TooLong(11))
        );
        assert_eq!(
            outcome(b"content-length: 1\r\n\r\n\xff"),
            Err(FrameError::NotText)
        );
        assert_eq!(
            outcome(b"Content-Length: 1\r\ncontent-length: 2\r\n\r\n"),
            Err(FrameError::NoLength)
        );
        assert_eq!(outcome(&[b'x'; 5000]), Err(FrameError::BadHeader));
    }
}
