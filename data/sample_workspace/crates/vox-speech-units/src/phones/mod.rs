//! Phonemes in the ARPABET notation.

mod syllable;

pub use syllable::{speech_rate, stress_pattern, syllabify};

use std::fmt;

/// Broad manner of articulation, ordered by rising sonority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PhoneKind {
    /// Closure and release, such as `P`.
    Stop,
    /// Stop with a fricative release, such as `CH`.
    Affricate,
    /// Turbulent narrowing, such as `S`.
    Fricative,
    /// Air through the nose, such as `M`.
    Nasal,
    /// `L` and `R`.
    Liquid,
    /// `W` and `Y`.
    Glide,
    /// Any vowel.
    Vowel,
}

/// A phoneme with its features.
#[derive(Debug, Clone, PartialEq)]
pub struct Phone {
    /// Symbol without stress digit.
    pub symbol: &'static str,
    /// Manner of articulation.
    pub kind: PhoneKind,
    /// Whether the vocal folds vibrate.
    pub voiced: bool,
    /// Place: 0.0 at the lips to 1.0 at the glottis; for vowels front to back.
    pub place: f32,
    /// 0, 1 or 2 for vowels that carry a digit.
    pub stress: Option<u8>,
}

/// A symbol that is not part of the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPhone {
    /// The word as it was written.
    pub symbol: String,
    /// Its position in the sequence.
    pub index: usize,
}

impl fmt::Display for UnknownPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown phone {:?} at {}", self.symbol, self.index)
    }
}

impl std::error::Error for UnknownPhone {}

const INVENTORY: [(&str, PhoneKind, bool, f32); 39] = {
    use PhoneKind::*;
    [
        ("P", Stop, false, 0.0),
        ("B", Stop, true, 0.0),
        ("T", Stop, false, 0.4),
        ("D", Stop, true, 0.4),
        ("K", Stop, false, 0.8),
        ("G", Stop, true, 0.8),
        ("CH", Affricate, false, 0.5),
        ("JH", Affricate, true, 0.5),
        ("F", Fricative, false, 0.1),
        ("V", Fricative, true, 0.1),
        ("TH", Fricative, false, 0.2),
        ("DH", Fricative, true, 0.2),
        ("S", Fricative, false, 0.4),
        ("Z", Fricative, true, 0.4),
        ("SH", Fricative, false, 0.5),
        ("ZH", Fricative, true, 0.5),
        ("HH", Fricative, false, 1.0),
        ("M", Nasal, true, 0.0),
        ("N", Nasal, true, 0.4),
        ("NG", Nasal, true, 0.8),
        ("L", Liquid, true, 0.4),
        ("R", Liquid, true, 0.5),
        ("W", Glide, true, 0.0),
        ("Y", Glide, true, 0.6),
        ("IY", Vowel, true, 0.0),
        ("IH", Vowel, true, 0.1),
        ("EY", Vowel, true, 0.2),
        ("EH", Vowel, true, 0.25),
        ("AE", Vowel, true, 0.3),
        ("AH", Vowel, true, 0.5),
        ("ER", Vowel, true, 0.5),
        ("AY", Vowel, true, 0.55),
        ("AA", Vowel, true, 0.7),
        ("AW", Vowel, true, 0.75),
        ("AO", Vowel, true, 0.8),
        ("OY", Vowel, true, 0.8),
        ("OW", Vowel, true, 0.9),
        ("UH", Vowel, true, 0.95),
        ("UW", Vowel, true, 1.0),
    ]
};

/// Reads one symbol such as `AE1` or `sh`, in upper or lower case.
///
/// A final digit from 0 to 2 is the stress and is allowed on vowels only; other
/// digits and unknown letters give `None`.
#[must_use]
pub fn parse_phone(text: &str) -> Option<Phone> {
    let upper = text.to_ascii_uppercase();
    let (name, stress) = match upper.as_bytes().last() {
        Some(&digit @ b'0'..=b'2') => (&upper[..upper.len() - 1], Some(digit - b'0')),
        _ => (upper.as_str(), None),
    };
    let &(symbol, kind, voiced, place) = INVENTORY.iter().find(|entry| entry.0 == name)?;
    if stress.is_some() && kind != PhoneKind::Vowel {
        return None;
    }
    Some(Phone {
        symbol,
        kind,
        voiced,
        place,
        stress,
    })
}

/// Reads a pronunciation: symbols separated by blanks.
///
/// # Errors
///
/// The first symbol that [`parse_phone`] refuses, with its position.
pub fn parse_phones(text: &str) -> Result<Vec<Phone>, UnknownPhone> {
    text.split_whitespace()
        .enumerate()
        .map(|(index, word)| {
            parse_phone(word).ok_or_else(|| UnknownPhone {
                symbol: word.to_owned(),
                index,
            })
        })
        .collect()
}

/// Rates how different two phonemes are, from 0 for the same symbol to 1.
///
/// A vowel against a consonant is always 1. Otherwise half of the weight lies on
/// the manner, three tenths on the place and two tenths on voicing; stress is
/// ignored. Different symbols with equal features still differ by 0.05.
pub fn phone_distance(a: &Phone, b: &Phone) -> f32 {
    if a.symbol == b.symbol {
        return 0.0;
    }
    if (a.kind == PhoneKind::Vowel) != (b.kind == PhoneKind::Vowel) {
        return 1.0;
    }
    let manner = (a.kind as i32 - b.kind as i32).abs() as f32 / 5.0;
    let place = (a.place - b.place).abs();
    let voicing = if a.voiced == b.voiced { 0.0 } else { 1.0 };
    (0.5 * manner + 0.3 * place + 0.2 * voicing).clamp(0.05, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing() {
        let phone = parse_phone("ae1").expect("a vowel");
        assert_eq!((phone.symbol, phone.stress), ("AE", Some(1)));
        assert_eq!(parse_phone("K1"), None);
        assert_eq!(parse_phone("AE5"), None);
        assert_eq!(parse_phone("é"), None);
        let err = parse_phones("K QX T").expect_err("unknown symbol");
        assert_eq!((err.symbol.as_str(), err.index), ("QX", 1));
    }

    #[test]
    fn distances() {
        let get = |s: &str| parse_phone(s).expect("known phone");
        assert_eq!(phone_distance(&get("AE1"), &get("AE0")), 0.0);
        assert_eq!(phone_distance(&get("AE1"), &get("S")), 1.0);
        assert!(phone_distance(&get("P"), &get("B")) < phone_distance(&get("P"), &get("Z")));
    }
}
