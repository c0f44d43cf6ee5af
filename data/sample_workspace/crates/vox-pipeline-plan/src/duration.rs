//! Durations in human notation.

use crate::Millis;

const UNITS: [(&str, Millis); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Why a duration text was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// Nothing but blanks.
    Empty,
    /// A number without a unit, or a unit without a number.
    Incomplete,
    /// The unit is not one of d, h, m, s, ms.
    UnknownUnit(String),
    /// Units must come in falling order and only once.
    OutOfOrder(String),
    /// The total does not fit.
    TooLong,
}

/// Parses durations such as `1h30m` or `2s 250ms`.
///
/// Whole numbers are each followed by a unit; blanks may separate the parts.
/// The units must fall from large to small, which catches typing errors such
/// as `5s3s`.
///
/// # Errors
///
/// See [`DurationError`]; the offending unit is quoted where there is one.
pub fn parse_duration(text: &str) -> Result<Millis, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }
    let mut total: Millis = 0;
    let mut allowed = 0;
    while !rest.is_empty() {
        let digits = rest.find(|ch: char| !ch.is_ascii_digit());
        let (number, tail) = rest.split_at(digits.ok_or(DurationError::Incomplete)?);
        let length = tail
            .find(|ch: char| !ch.is_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(length);
        if number.is_empty() || unit.is_empty() {
            return Err(DurationError::Incomplete);
        }
        let place = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(|| DurationError::UnknownUnit(unit.to_string()))?;
        if place < allowed {
            return Err(DurationError::OutOfOrder(unit.to_string()));
        }
        let amount: Millis = number.parse().map_err(|_| DurationError::TooLong)?;
        total = amount
            .checked_mul(UNITS[place].1)
            .and_then(|part| total.checked_add(part))
            .ok_or(DurationError::TooLong)?;
        allowed = place + 1;
        rest = tail.trim_start();
    }
    Ok(total)
}

/// Writes a duration with at most `parts` units, rounding the last one.
///
/// The largest unit that fits comes first and zero parts are left out. The
/// value is rounded half up to the smallest unit shown before splitting, so
/// that a carry such as `59m 59s` to `1h` comes out right. Zero is `0ms`.
#[must_use]
pub fn format_duration(duration: Millis, parts: usize) -> String {
    let Some(first) = UNITS.iter().position(|(_, size)| *size <= duration) else {
        return String::from("0ms");
    };
    let last = (first + parts.max(1) - 1).min(UNITS.len() - 1);
    let unit = UNITS[last].1;
    let mut rest = duration.saturating_add(unit / 2) / unit * unit;
    let mut shown = Vec::new();
    for (name, size) in &UNITS[..=last] {
        let amount = rest / size;
        rest %= size;
        if amount > 0 {
            shown.push(format!("{amount}{name}"));
        }
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_in_falling_order() {
        assert_eq!(parse_duration("1h30m"), Ok(5_400_000));
        assert_eq!(parse_duration(" 2s 250ms "), Ok(2_250));
        assert_eq!(
            parse_duration("5s3s"),
            Err(DurationError::OutOfOrder("s".into()))
        );
        assert_eq!(
            parse_duration("5w"),
            Err(DurationError::UnknownUnit("w".into()))
        );
        assert_eq!(parse_duration("5"), Err(DurationError::Incomplete));
        assert_eq!(parse_duration("h"), Err(DurationError::Incomplete));
        assert_eq!(
            parse_duration("999999999999999d"),
            Err(DurationError::TooLong)
        );
    }

    #[test]
    fn rounding_carries_over() {
        assert_eq!(format_duration(3_599_999, 2), "1h");
        assert_eq!(format_duration(5_430_000, 2), "1h 31m");
        assert_eq!(format_duration(5_430_000, 3), "1h 30m 30s");
        assert_eq!(format_duration(0, 2), "0ms");
        assert_eq!(format_duration(999, 1), "999ms");
    }
}
