//! Durations written by people.

/// Unit letters and their length in seconds, largest first.
const UNITS: [(char, u64); 5] = [
    ('w', 604_800),
    ('d', 86_400),
    ('h', 3_600),
    ('m', 60),
    ('s', 1),
];

/// Parses a duration such as `1h30m` or `2d 12h` into seconds.
///
/// Units are `w`, `d`, `h`, `m`, `s` and must appear from large to small, each
/// at most once, so a slip like `5m2h` is caught. Blanks may separate the
/// terms. A bare number counts seconds. `None` is returned for an empty text,
/// any other character and results beyond `u64`.
///
/// # Examples
///
/// ```
/// assert_eq!(vox_calendar::span::parse_span("1h 30m"), Some(5400));
/// assert_eq!(vox_calendar::span::parse_span("5m2h"), None);
/// ```
#[must_use]
pub fn parse_span(text: &str) -> Option<u64> {
    let compact: String = text.split_whitespace().collect();
    if compact.is_empty() {
        return None;
    }
    let mut rest = compact.as_str();
    let mut total: u64 = 0;
    let mut allowed = &UNITS[..];
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let amount: u64 = rest[..digits].parse().ok()?;
        let mut tail = rest[digits..].chars();
        let unit = match tail.next() {
            Some(letter) => letter,
            None if rest.len() == compact.len() => 's',
            None => return None,
        };
        let index = allowed.iter().position(|(letter, _)| *letter == unit)?;
        total = total.checked_add(amount.checked_mul(allowed[index].1)?)?;
        allowed = &allowed[index + 1..];
        rest = tail.as_str();
    }
    Some(total)
}

/// Writes a number of seconds with at most `terms` units.
///
/// The largest units are kept and what is left is rounded half up to the last
/// kept unit; a carry may turn `59m 59s` into `1h`. Zero is written `0s`, and
/// zero terms count as one.
pub fn format_span(seconds: u64, terms: usize) -> String {
    let top = UNITS
        .iter()
        .position(|&(_, len)| seconds >= len)
        .unwrap_or(UNITS.len() - 1);
    let last = (top + terms.max(1) - 1).min(UNITS.len() - 1);
    let grain = UNITS[last].1;
    let mut rest = seconds.saturating_add(grain / 2) / grain * grain;
    let mut out = Vec::new();
    for (letter, len) in UNITS {
        let amount = rest / len;
        rest %= len;
        if amount > 0 {
            out.push(format!("{amount}{letter}"));
        }
    }
    if out.is_empty() {
        out.push("0s".to_owned());
    }
    out.join(" ")
}

#[doc = "Spreads retry delays exponentially, with a ceiling and deterministic jitter."]
#[doc = ""]
#[doc = "Attempt 0 waits `base` seconds and each further one twice as long, up to"]
#[doc = "`cap`. A quarter of the delay is replaced by a pseudo-random share derived"]
#[doc = "from `seed` and the attempt, so that clients with different seeds drift"]
#[doc = "apart while tests stay repeatable."]
#[must_use]
pub fn backoff_delay(attempt: u32, base: u64, cap: u64, seed: u64) -> u64 {
    let factor = 1u64.checked_shl(attempt).unwrap_or(u64::MAX);
    let full = base.saturating_mul(factor).min(cap);
    let spread = full / 4;
    if spread == 0 {
        return full;
    }
    let mut mix = seed ^ (u64::from(attempt) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mix ^= mix >> 31;
    mix = mix.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mix ^= mix >> 29;
    full - spread + mix % (spread + 1)
}

/// The current time as seconds since the epoch, or 0 if the clock is set before it.
///
/// Tests replace the clock by fixed stamps, hence the attribute: nothing in a
/// unit test of this crate may depend on the wall clock.
#[cfg(not(test))]
pub fn now_stamp() -> crate::Stamp {
    use std::time::{SystemTime, UNIX_EPOCH};
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(elapsed) => i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_round_trip() {
        for seconds in [0, 1, 59, 60, 3661, 90_061, 694_861] {
            assert_eq!(parse_span(&format_span(seconds, 5)), Some(seconds));
        }
        assert_eq!(parse_span("90"), Some(90));
        assert_eq!(parse_span("1h5"), None);
        assert_eq!(parse_span("h"), None);
        assert_eq!(parse_span(""), None);
    }

    #[test]
    fn rounding_carries() {
        assert_eq!(format_span(3_599, 1), "1h");
        assert_eq!(format_span(5_430, 2), "1h 31m");
    }

    #[test]
    fn delays_stay_below_the_cap() {
        for attempt in 0..80 {
            let delay = backoff_delay(attempt, 3, 100, 42);
            assert!(delay <= 100);
            assert!(attempt < 6 || delay >= 75);
        }
        assert_eq!(backoff_delay(0, 2, 100, 1), 2);
    }
}
