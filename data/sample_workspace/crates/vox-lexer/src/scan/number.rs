//! Number literals: radix prefixes, digit separators, fractions and units.

use crate::cursor::Cursor;

/// Why the text of a number literal has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// There was no digit after the sign, the prefix or the point.
    MissingDigits,
    /// A character is not a digit in the literal's radix.
    BadDigit(char),
    /// `_` stands at an end or next to another `_`.
    MisplacedSeparator,
    /// The value does not fit the result type.
    TooLarge,
}

/// A literal split into an exact decimal and its unit suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured<'s> {
    /// All digits read as one integer.
    pub digits: i64,
    /// How many of those digits stand behind the decimal point.
    pub scale: u32,
    /// Letters after the number, empty if there are none.
    pub unit: &'s str,
}

/// Advances over digits, separators, one fraction and a letter suffix.
///
/// This only finds the end of the literal and accepts malformed digits; the
/// value is checked later. A point belongs to the number only when a digit
/// follows, so `1..5` is a range and `3.round` is a method call.
pub(crate) fn skip_number(cursor: &mut Cursor<'_>) {
    cursor.take_while(|ch| ch.is_ascii_digit() || ch == '_');
    let mut ahead = cursor.rest().chars();
    if ahead.next() == Some('.') && ahead.next().is_some_and(|ch| ch.is_ascii_digit()) {
        cursor.bump();
        cursor.take_while(|ch| ch.is_ascii_digit() || ch == '_');
    }
    cursor.take_while(|ch| ch.is_alphanumeric() || ch == '_' || ch == '%');
}

/// Parses an integer literal with optional `0x`, `0o` or `0b` prefix.
///
/// Underscores may separate digits but must have a digit on both sides.
/// Arithmetic is checked at each digit.
///
/// # Errors
///
/// The first problem from the left is reported: a character outside the
/// radix, a misplaced underscore, a literal without digits, or a value above
/// `u64::MAX`.
pub fn parse_integer(text: &str) -> Result<u64, NumberError> {
    let (radix, body) = match text.get(..2) {
        Some("0x" | "0X") => (16, &text[2..]),
        Some("0o" | "0O") => (8, &text[2..]),
        Some("0b" | "0B") => (2, &text[2..]),
        _ => (10, text),
    };
    let mut value = 0_u64;
    let mut after_digit = false;
    for ch in body.chars() {
        if ch == '_' {
            if !after_digit {
                return Err(NumberError::MisplacedSeparator);
            }
            after_digit = false;
            continue;
        }
        let digit = ch.to_digit(radix).ok_or(NumberError::BadDigit(ch))?;
        value = value
            .checked_mul(u64::from(radix))
            .and_then(|shifted| shifted.checked_add(u64::from(digit)))
            .ok_or(NumberError::TooLarge)?;
        after_digit = true;
    }
    match (after_digit, body.is_empty()) {
        (true, _) => Ok(value),
        (false, true) => Err(NumberError::MissingDigits),
        (false, false) => Err(NumberError::MisplacedSeparator),
    }
}

/// Splits a literal such as `1_250.75km` into digits, scale and unit.
///
/// Nothing is rounded: `1_250.75km` gives digits 125075, scale 2 and unit
/// `km`. Underscores are skipped wherever they stand. The unit is everything
/// from the first letter or percent sign on and is not validated here.
///
/// # Errors
///
/// [`NumberError::MissingDigits`] if no digit precedes the unit or follows the
/// point, [`NumberError::TooLarge`] if the digits overflow `i64`, and
/// [`NumberError::BadDigit`] for any other character.
pub fn parse_measured(text: &str) -> Result<Measured<'_>, NumberError> {
    let unit_at = text
        .find(|ch: char| ch.is_alphabetic() || ch == '%')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let mut digits = 0_i64;
    let mut scale = None;
    let mut seen = false;
    for ch in number.chars() {
        match ch {
            '_' => {}
            '.' if scale.is_none() && seen => {
                scale = Some(0);
                seen = false;
            }
            '0'..='9' => {
                let digit = i64::from(ch as u8 - b'0');
                digits = digits
                    .checked_mul(10)
                    .and_then(|shifted| shifted.checked_add(digit))
                    .ok_or(NumberError::TooLarge)?;
                scale = scale.map(|places: u32| places + 1);
                seen = true;
            }
            other => return Err(NumberError::BadDigit(other)),
        }
    }
    if !seen {
        return Err(NumberError::MissingDigits);
    }
    Ok(Measured {
        digits,
        scale: scale.unwrap_or(0),
        unit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_every_radix() {
        assert_eq!(parse_integer("0xFF_ff"), Ok(0xFFFF));
        assert_eq!(parse_integer("0b101"), Ok(5));
        assert_eq!(parse_integer("1_000"), Ok(1000));
        assert_eq!(parse_integer("0o8"), Err(NumberError::BadDigit('8')));
        assert_eq!(parse_integer("1__0"), Err(NumberError::MisplacedSeparator));
        assert_eq!(parse_integer("7_"), Err(NumberError::MisplacedSeparator));
        assert_eq!(parse_integer("0x"), Err(NumberError::MissingDigits));
        assert_eq!(
            parse_integer("18446744073709551616"),
            Err(NumberError::TooLarge)
        );
    }

    #[test]
    fn measured_literals_stay_exact() {
        let measured = parse_measured("1_250.75km").unwrap();
        assert_eq!(
            (measured.digits, measured.scale, measured.unit),
            (125_075, 2, "km")
        );
        assert_eq!(parse_measured("km"), Err(NumberError::MissingDigits));
        assert_eq!(parse_measured("1.2.3"), Err(NumberError::BadDigit('.')));
    }

    #[test]
    fn ranges_are_not_fractions() {
        let mut cursor = Cursor::new("1..5");
        skip_number(&mut cursor);
        assert_eq!(cursor.rest(), "..5");
    }
}
