//! A chunked text buffer for the editor integration.

/// Largest chunk, in bytes, that the rope builds by itself.
const CHUNK: usize = 64;

/// Text kept in short pieces so that edits touch only their neighbourhood.
#[derive(Debug, Clone, Default)]
pub struct Rope {
    chunks: Vec<String>,
}

/// Anything that can hand out its text piece by piece.
pub trait TextSource {
    /// Passes each piece of the text to `sink`, in order.
    fn for_each_chunk(&self, sink: &mut dyn FnMut(&str));

    /// Computes a 64-bit FNV-1a fingerprint of the whole text.
    ///
    /// Piece boundaries do not matter: two sources with the same text agree
    /// whatever their chunking. The value is stable across runs and platforms.
    fn fingerprint(&self) -> u64 {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        self.for_each_chunk(&mut |chunk| {
            for byte in chunk.bytes() {
                hash ^= u64::from(byte);
                hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
            }
        });
        hash
    }

    /// Measures the longest line, in characters.
    ///
    /// Lines end at `\n`, which is not counted, and may span several pieces.
    /// The unfinished line at the end takes part as well.
    fn longest_line(&self) -> usize {
        let (mut best, mut current) = (0, 0);
        self.for_each_chunk(&mut |chunk| {
            for c in chunk.chars() {
                current = if c == '\n' { 0 } else { current + 1 };
                best = best.max(current);
            }
        });
        best
    }
}

impl TextSource for str {
    fn for_each_chunk(&self, sink: &mut dyn FnMut(&str)) {
        sink(self);
    }
}

impl TextSource for Rope {
    fn for_each_chunk(&self, sink: &mut dyn FnMut(&str)) {
        self.chunks.iter().for_each(|chunk| sink(chunk));
    }
}

impl From<&str> for Rope {
    fn from(text: &str) -> Self {
        let mut chunks = Vec::new();
        push_chunks(&mut chunks, text);
        Rope { chunks }
    }
}

/// Appends a text in pieces of at most `CHUNK` bytes.
///
/// Each piece is as long as possible but never splits a character. An empty text
/// adds no piece.
fn push_chunks(chunks: &mut Vec<String>, mut text: &str) {
    while !text.is_empty() {
        let mut cut = text.len().min(CHUNK);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        let (head, tail) = text.split_at(cut);
        chunks.push(head.to_owned());
        text = tail;
    }
}

impl Rope {
    /// Total length in bytes.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(String::len).sum()
    }

    /// Whether the rope holds no text.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Locates the chunk that a byte offset falls in.
    ///
    /// Returns the chunk's index and the offset inside it. An offset on the seam
    /// between two chunks belongs to the later one, the offset at the very end
    /// to an imaginary chunk past the last. `None` if the offset lies outside
    /// the text or splits a character.
    #[must_use]
    pub fn locate(&self, offset: usize) -> Option<(usize, usize)> {
        let mut rest = offset;
        for (index, chunk) in self.chunks.iter().enumerate() {
            if rest < chunk.len() {
                return chunk.is_char_boundary(rest).then_some((index, rest));
            }
            rest -= chunk.len();
        }
        (rest == 0).then_some((self.chunks.len(), 0))
    }

    /// Inserts text at a byte offset.
    ///
    /// Only the chunk that holds the offset is split and rebuilt together with
    /// the new text; all others stay as they are. Returns `false`, changing
    /// nothing, if [`Rope::locate`] rejects the offset.
    pub fn insert(&mut self, offset: usize, text: &str) -> bool {
        let Some((index, inner)) = self.locate(offset) else {
            return false;
        };
        let end = (index + 1).min(self.chunks.len());
        let mut joined = String::new();
        let (mut before, mut after) = ("", "");
        if let Some(chunk) = self.chunks.get(index) {
            (before, after) = chunk.split_at(inner);
        }
        for part in [before, text, after] {
            joined.push_str(part);
        }
        let mut fresh = Vec::new();
        push_chunks(&mut fresh, &joined);
        self.chunks.splice(index..end, fresh);
        true
    }

    /// Cuts the bytes from `start` to `end` out of the rope and returns them.
    ///
    /// Whole chunks inside the range are dropped, the two at its edges are
    /// trimmed, and chunks that become empty disappear. `None`, with the rope
    /// unchanged, if the range is backward or either edge is not a valid offset.
    pub fn remove(&mut self, start: usize, end: usize) -> Option<String> {
        let (first, from) = self.locate(start)?;
        let (last, to) = self.locate(end)?;
        if start > end {
            return None;
        }
        let removed = self.slice(start, end)?;
        let head = self.chunks.get(first).map_or("", |c| &c[..from]);
        let tail = self.chunks.get(last).map_or("", |c| &c[to..]);
        let mut fresh = Vec::new();
        push_chunks(&mut fresh, &format!("{head}{tail}"));
        let stop = (last + 1).min(self.chunks.len());
        self.chunks.splice(first.min(stop)..stop, fresh);
        Some(removed)
    }

    /// Copies out the text between two byte offsets.
    ///
    /// Chunks wholly outside the range are skipped by length alone. An empty
    /// range gives an empty string; a backward range, an offset past the end or
    /// one inside a character gives `None`.
    pub fn slice(&self, start: usize, end: usize) -> Option<String> {
        self.locate(start)?;
        self.locate(end)?;
        let want = end.checked_sub(start)?;
        let mut out = String::with_capacity(want);
        let mut base = 0;
        for chunk in &self.chunks {
            let (lo, hi) = (start.max(base), end.min(base + chunk.len()));
            if lo < hi {
                out.push_str(&chunk[lo - base..hi - base]);
            }
            base += chunk.len();
        }
        Some(out)
    }

    /// Converts a byte offset to a line and column, both counted from zero.
    ///
    /// The column is in characters since the last newline before the offset. The
    /// end of the text is a valid position. `None` for offsets that
    /// [`Rope::locate`] rejects.
    #[must_use]
    pub fn position(&self, offset: usize) -> Option<(usize, usize)> {
        let (index, inner) = self.locate(offset)?;
        let mut line = 0;
        let mut column = 0;
        let edge = self.chunks.get(index).map(|c| &c[..inner]);
        for part in self.chunks[..index].iter().map(String::as_str).chain(edge) {
            match part.rfind('\n') {
                Some(at) => {
                    line += part.bytes().filter(|&b| b == b'\n').count();
                    column = part[at + 1..].chars().count();
                }
                None => column += part.chars().count(),
            }
        }
        Some((line, column))
    }

    /// Walks over the lines of the rope without their line feeds.
    ///
    /// Lines are put together across chunks on demand. A text that ends in a
    /// newline has no empty last line, and an empty rope has no lines.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let mut pieces = self.chunks.iter().flat_map(|c| c.split_inclusive('\n'));
        std::iter::from_fn(move || {
            let mut line = pieces.next()?.to_owned();
            while !line.ends_with('\n') {
                match pieces.next() {
                    Some(more) => line.push_str(more),
                    None => return Some(line),
                }
            }
            line.pop();
            Some(line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_match_a_plain_string() {
        let mut plain = crate::seeded_text(5, 300, &['a', 'é', '\n', ' ']);
        let mut rope = Rope::from(plain.as_str());
        for step in 0..40usize {
            let mut at = (step * 37) % plain.len();
            while !plain.is_char_boundary(at) {
                at += 1;
            }
            if step % 3 == 0 {
                let mut end = (at + 50).min(plain.len());
                while !plain.is_char_boundary(end) {
                    end += 1;
                }
                let gone: String = plain.drain(at..end).collect();
                assert_eq!(rope.remove(at, end), Some(gone));
            } else {
                plain.insert_str(at, "wörter and\nmore words");
                assert!(rope.insert(at, "wörter and\nmore words"));
            }
            assert_eq!(rope.slice(0, rope.len()).as_deref(), Some(plain.as_str()));
        }
        assert_eq!(rope.fingerprint(), plain.as_str().fingerprint());
        assert_eq!(rope.longest_line(), plain.as_str().longest_line());
        assert!(rope.lines().eq(plain.lines().map(str::to_owned)));
    }

    #[test]
    fn positions_and_bounds() {
        let rope = Rope::from("ab\ncé\n");
        assert_eq!(rope.position(4), Some((1, 1)));
        assert_eq!(rope.position(5), None);
        assert_eq!(rope.position(7), Some((2, 0)));
        assert_eq!(rope.slice(3, 1), None);
        assert_eq!(rope.slice(7, 9), None);
        assert!(Rope::default().is_empty());
    }
}
