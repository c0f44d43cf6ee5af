//! Syllables and rhythm.

use super::{Phone, PhoneKind};
use std::ops::Range;

/// Divides a pronunciation into syllables by the maximal onset principle.
///
/// Each vowel is a nucleus. Of the consonants between two nuclei as many as
/// possible go to the later one, as long as each may stand before the next in an
/// onset: sonority must rise toward the vowel, with the usual exception for `S`,
/// and `NG` never begins a syllable. Consonants at the word's edges join the nearest syllable. A
/// pronunciation without vowels is a single syllable, and no phonemes are none.
#[must_use]
pub fn syllabify(phones: &[Phone]) -> Vec<Range<usize>> {
    if phones.is_empty() {
        return Vec::new();
    }
    let nuclei: Vec<usize> = (0..phones.len())
        .filter(|&i| phones[i].kind == PhoneKind::Vowel)
        .collect();
    let mut bounds = vec![0];
    for pair in nuclei.windows(2) {
        let (before, nucleus) = (pair[0], pair[1]);
        let mut start = nucleus;
        while start > before + 1 && may_precede(&phones[start - 1], &phones[start]) {
            start -= 1;
        }
        bounds.push(start);
    }
    bounds.push(phones.len());
    bounds.windows(2).map(|w| w[0]..w[1]).collect()
}

/// Tells whether a consonant may stand directly before `next` in an onset.
///
/// Before a vowel any consonant but `NG` may stand; before a liquid or glide,
/// any of lower sonority. `S` may also precede voiceless stops and nasals.
pub(crate) fn may_precede(consonant: &Phone, next: &Phone) -> bool {
    if consonant.symbol == "NG" || consonant.kind == PhoneKind::Vowel {
        return false;
    }
    let s_cluster = consonant.symbol == "S"
        && (next.kind == PhoneKind::Stop && !next.voiced || next.kind == PhoneKind::Nasal);
    s_cluster || next.kind >= PhoneKind::Liquid && consonant.kind < next.kind
}

/// Writes the stress of a pronunciation as one letter per syllable.
///
/// `S` marks primary stress, `s` secondary and `.` none. A word of one syllable
/// whose vowel carries no digit counts as stressed; in longer words a vowel
/// without a digit is unstressed. Without vowels the pattern is empty.
pub fn stress_pattern(phones: &[Phone]) -> String {
    let vowels: Vec<&Phone> = phones
        .iter()
        .filter(|p| p.kind == PhoneKind::Vowel)
        .collect();
    if let [only] = vowels[..] {
        if only.stress.is_none() {
            return "S".to_owned();
        }
    }
    vowels
        .iter()
        .map(|p| match p.stress {
            Some(1) => 'S',
            Some(2) => 's',
            _ => '.',
        })
        .collect()
}

/// Estimates articulation from phonemes with their start and end in seconds.
///
/// Returns syllables per second of speaking time. Pauses longer than `max_pause`
/// between one phoneme's end and the next one's start are not speaking time;
/// shorter ones are. `None` if there is no speaking time.
pub fn speech_rate(timed: &[(Phone, f32, f32)], max_pause: f32) -> Option<f32> {
    let mut speaking = 0.0;
    let mut vowels = 0;
    let mut previous_end: Option<f32> = None;
    for (phone, start, end) in timed {
        speaking += (end - start).max(0.0);
        if let Some(before) = previous_end {
            let pause = (start - before).max(0.0);
            if pause <= max_pause {
                speaking += pause;
            }
        }
        vowels += u32::from(phone.kind == PhoneKind::Vowel);
        previous_end = Some(*end);
    }
    (speaking > 0.0).then(|| vowels as f32 / speaking)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phones::parse_phones;

    fn syllables(text: &str) -> Vec<String> {
        let phones = parse_phones(text).expect("valid phones");
        let join = |r: Range<usize>| {
            phones[r]
                .iter()
                .map(|p| p.symbol)
                .collect::<Vec<_>>()
                .join(" ")
        };
        syllabify(&phones).into_iter().map(join).collect()
    }

    #[test]
    fn onsets() {
        assert_eq!(syllables("EH1 K S T R AH0"), ["EH K", "S T R AH"]);
        assert_eq!(syllables("S IH1 NG ER0"), ["S IH NG", "ER"]);
        assert_eq!(syllables("AE1 T L AH0 S"), ["AE", "T L AH S"]);
        assert_eq!(syllables("SH"), ["SH"]);
        assert!(syllables("").is_empty());
    }

    #[test]
    fn rhythm() {
        let phones = parse_phones("B AH0 N AE1 N AH0").expect("valid phones");
        assert_eq!(stress_pattern(&phones), ".S.");
        assert_eq!(
            stress_pattern(&parse_phones("K AE T").expect("valid phones")),
            "S"
        );
        let timed: Vec<(Phone, f32, f32)> = phones
            .into_iter()
            .enumerate()
            .map(|(i, p)| (p, i as f32 * 0.25, i as f32 * 0.25 + 0.25))
            .collect();
        assert_eq!(speech_rate(&timed, 0.1), Some(2.0));
        assert_eq!(speech_rate(&[], 0.1), None);
    }
}
