//! Significant digits and measurement uncertainty.

use crate::money::{round_ratio, Rounding};
use crate::rational::Ratio;

/// A measured value with a symmetric uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Best estimate.
    pub value: Ratio,
    /// Half width of the interval around it, never negative.
    pub error: Ratio,
}

/// Finds the power of ten of the leading digit of a non-zero value.
///
/// For 450 the answer is 2, for 0.07 it is -2. The search multiplies or
/// divides by ten until the magnitude lies in `1..10`; zero has no leading
/// digit and gives `None`.
#[must_use]
pub fn magnitude(value: Ratio) -> Option<i32> {
    let mut num = value.numerator().unsigned_abs();
    let mut den = value.denominator().unsigned_abs();
    if num == 0 {
        return None;
    }
    let mut power = 0;
    while num / 10 >= den {
        num /= 10;
        power += 1;
    }
    while num < den {
        match num.checked_mul(10) {
            Some(grown) => num = grown,
            None => den /= 10,
        }
        power -= 1;
    }
    Some(power)
}

#[doc = "Rounds a value to a number of significant decimal digits."]
#[doc = ""]
#[doc = "Ties go to the even neighbour. Zero stays zero, and asking for no"]
#[doc = "digits at all is answered with `None`, as is overflow. The result may"]
#[doc = "gain a digit: 9.96 to two digits is 10."]
#[must_use]
pub fn round_significant(value: Ratio, digits: u8) -> Option<Ratio> {
    if digits == 0 {
        return None;
    }
    let Some(power) = magnitude(value) else {
        return Some(Ratio::ZERO);
    };
    let shift = i32::from(digits) - 1 - power;
    let ten = Ratio::new(10, 1)?;
    let scaled = value.checked_mul(ten.checked_pow(shift)?)?;
    let rounded = round_ratio(scaled, Rounding::HalfEven)?;
    Ratio::new(rounded, 1)?.checked_mul(ten.checked_pow(-shift)?)
}

/// Counts the significant digits that a written decimal claims.
///
/// Leading zeros never count. Trailing zeros count only behind a decimal
/// point: `0.050` has two, `1200` has two, `1200.0` has five. A text with
/// anything but digits, one sign and one point gives `None`.
#[must_use]
pub fn count_significant(text: &str) -> Option<usize> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let leading = digits.trim_start_matches('0');
    let counted = if fraction.is_empty() {
        leading.trim_end_matches('0')
    } else {
        leading
    };
    Some(counted.len())
}

impl Measurement {
    /// Multiplies two measurements and carries the worst-case error along.
    ///
    /// The error of the product is the exact bound
    /// `|a|*db + |b|*da + da*db`, so the true product always lies within the
    /// resulting interval. Overflow gives `None`.
    #[must_use]
    pub fn checked_mul(self, other: Measurement) -> Option<Measurement> {
        let size = |value: Ratio| Ratio::new(value.numerator().checked_abs()?, value.denominator());
        let first = size(self.value)?.checked_mul(other.error)?;
        let second = size(other.value)?.checked_mul(self.error)?;
        let both = self.error.checked_mul(other.error)?;
        Some(Measurement {
            value: self.value.checked_mul(other.value)?,
            error: first.checked_add(second)?.checked_add(both)?,
        })
    }

    /// Tells whether two measurements could describe the same true value.
    ///
    /// Their intervals must share at least one point; touching ends count. An
    /// interval whose bounds overflow is treated as compatible with anything,
    /// because the data cannot rule it out.
    #[must_use]
    pub fn agrees_with(self, other: Measurement) -> bool {
        let bounds = |m: Measurement| {
            let negative = Ratio::new(-m.error.numerator(), m.error.denominator())?;
            Some((
                m.value.checked_add(negative)?,
                m.value.checked_add(m.error)?,
            ))
        };
        match (bounds(self), bounds(other)) {
            (Some((low, high)), Some((other_low, other_high))) => {
                low <= other_high && other_low <= high
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Ratio {
        Ratio::parse(text).unwrap()
    }

    #[test]
    fn leading_digit_positions() {
        assert_eq!(magnitude(decimal("450")), Some(2));
        assert_eq!(magnitude(decimal("-0.07")), Some(-2));
        assert_eq!(magnitude(decimal("9.99")), Some(0));
        assert_eq!(magnitude(Ratio::ZERO), None);
    }

    #[test]
    fn rounding_to_digits() {
        assert_eq!(round_significant(decimal("9.96"), 2), Some(decimal("10")));
        assert_eq!(
            round_significant(decimal("0.012345"), 3),
            Some(decimal("0.0123"))
        );
        assert_eq!(round_significant(decimal("1250"), 2), Some(decimal("1200")));
        assert_eq!(round_significant(decimal("1"), 0), None);
    }

    #[test]
    fn written_digits_are_counted() {
        let counts = ["0.050", "1200", "1200.0", "-7", "0"].map(count_significant);
        assert_eq!(counts, [Some(2), Some(2), Some(5), Some(1), Some(0)]);
        assert_eq!(count_significant("1e3"), None);
    }

    #[test]
    fn errors_propagate() {
        let side = Measurement {
            value: decimal("-2"),
            error: decimal("0.1"),
        };
        let area = side.checked_mul(side).unwrap();
        assert_eq!(area.error, decimal("0.41"));
        let near = Measurement {
            value: decimal("-1.8"),
            error: decimal("0.1"),
        };
        assert!(side.agrees_with(near));
        let far = Measurement {
            value: decimal("-1.7"),
            ..near
        };
        assert!(!side.agrees_with(far));
    }
}
