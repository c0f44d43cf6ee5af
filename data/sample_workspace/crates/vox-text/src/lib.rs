//! Text shaping used by the Vox formatter, its diagnostics and its help pages.
//!
//! Every routine works on `&str` or slices, allocates only its result, and
//! counts columns in `char`s: Vox sources are not expected to hold combining
//! marks, so no grapheme tables are carried.

pub mod case;
pub mod edit;
pub mod glob;
pub mod rope;
pub mod search;
pub mod table;
pub mod wrap;

pub use case::{split_words, CaseStyle};
pub use glob::Glob;
pub use rope::{Rope, TextSource};
pub use search::MultiSearch;

/// Makes a deterministic pseudo-random text for property tests and fuzz seeds.
///
/// The letters are drawn from `alphabet` by a 64-bit xorshift generator that
/// starts at `seed` (zero is replaced by one, since xorshift would stay at
/// zero). The result has exactly `len` characters, or is empty when the
/// alphabet is empty.
#[cfg(any(test, feature = "fuzz"))]
pub fn seeded_text(seed: u64, len: usize, alphabet: &[char]) -> String {
    if alphabet.is_empty() {
        return String::new();
    }
    let mut state = seed.max(1);
    let mut out = String::with_capacity(len);
    for _ in 0..len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let pick = (state % alphabet.len() as u64) as usize;
        out.push(alphabet[pick]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_text_is_repeatable() {
        let alphabet = ['a', 'b', ' '];
        assert_eq!(seeded_text(7, 40, &alphabet), seeded_text(7, 40, &alphabet));
        assert_eq!(seeded_text(0, 12, &alphabet).len(), 12);
        assert_eq!(seeded_text(3, 5, &[]), "");
    }
}
