//! Rational arithmetic on 128-bit integers with overflow checks.

use std::cmp::Ordering;
use std::fmt;

/// A fraction in lowest terms with a positive denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ratio {
    num: i128,
    den: i128,
}

/// Computes the greatest common divisor by Euclid's algorithm.
///
/// The arguments are magnitudes; `gcd(0, n)` is `n` by convention, so the
/// result is zero only when both arguments are.
#[must_use]
pub const fn gcd(mut left: u128, mut right: u128) -> u128 {
    while right != 0 {
        let rest = left % right;
        left = right;
        right = rest;
    }
    left
}

impl Ratio {
    /// The number zero.
    pub const ZERO: Ratio = Ratio { num: 0, den: 1 };
    /// The number one.
    pub const ONE: Ratio = Ratio { num: 1, den: 1 };

    /// Builds the fraction `num / den` and reduces it.
    ///
    /// A negative denominator passes its sign to the numerator. `None` signals
    /// a zero denominator, or a reduced term whose magnitude exceeds
    /// `i128::MAX` (possible only when an argument is `i128::MIN`).
    #[must_use]
    pub const fn new(num: i128, den: i128) -> Option<Ratio> {
        if den == 0 {
            return None;
        }
        let shared = gcd(num.unsigned_abs(), den.unsigned_abs());
        let top = num.unsigned_abs() / shared;
        let bottom = den.unsigned_abs() / shared;
        if top > i128::MAX as u128 || bottom > i128::MAX as u128 {
            return None;
        }
        let negative = (num < 0) != (den < 0);
        Some(Ratio {
            num: if negative {
                -(top as i128)
            } else {
                top as i128
            },
            den: bottom as i128,
        })
    }

    #[must_use]
    pub const fn numerator(self) -> i128 {
        self.num
    }

    #[must_use]
    pub const fn denominator(self) -> i128 {
        self.den
    }

    /// Adds two fractions, or gives `None` if an intermediate value overflows.
    ///
    /// The common divisor of the denominators is taken out before multiplying,
    /// which keeps sums of decimal fractions small for as long as possible.
    #[must_use]
    pub fn checked_add(self, other: Ratio) -> Option<Ratio> {
        let shared = gcd(self.den.unsigned_abs(), other.den.unsigned_abs()) as i128;
        let left = self.num.checked_mul(other.den / shared)?;
        let right = other.num.checked_mul(self.den / shared)?;
        let den = self.den.checked_mul(other.den / shared)?;
        Ratio::new(left.checked_add(right)?, den)
    }

    /// Multiplies two fractions after cancelling across the diagonal.
    ///
    /// Cancelling first means that the products are already in lowest terms,
    /// so overflow (`None`) is reported only if the true result is too large.
    #[must_use]
    pub fn checked_mul(self, other: Ratio) -> Option<Ratio> {
        let first = gcd(self.num.unsigned_abs(), other.den.unsigned_abs()).max(1) as i128;
        let second = gcd(other.num.unsigned_abs(), self.den.unsigned_abs()).max(1) as i128;
        let num = (self.num / first).checked_mul(other.num / second)?;
        let den = (self.den / second).checked_mul(other.den / first)?;
        Ratio::new(num, den)
    }

    /// Raises the fraction to an integer power by repeated squaring.
    ///
    /// A negative exponent inverts the base first, which fails for zero. The
    /// zeroth power is one for every base, zero included. Overflow at any step
    /// that contributes to the result gives `None`.
    #[must_use]
    pub fn checked_pow(self, exponent: i32) -> Option<Ratio> {
        let mut base = if exponent < 0 {
            Ratio::new(self.den, self.num)?
        } else {
            self
        };
        let mut left = exponent.unsigned_abs();
        let mut result = Ratio::ONE;
        while left > 0 {
            if left & 1 == 1 {
                result = result.checked_mul(base)?;
            }
            left >>= 1;
            if left > 0 {
                base = base.checked_mul(base)?;
            }
        }
        Some(result)
    }

    /// Reads a plain decimal such as `-12.050` or a fraction such as `3/8`.
    ///
    /// Blanks around the text and around the slash are allowed, digit
    /// separators and exponents are not. `None` covers every malformed text as
    /// well as numbers with too many digits and a zero denominator.
    ///
    /// # Examples
    ///
    /// ```
    /// use vox_units::Ratio;
    /// assert_eq!(Ratio::parse("0.125"), Ratio::new(1, 8));
    /// assert_eq!(Ratio::parse("3 / 12"), Ratio::new(1, 4));
    /// assert_eq!(Ratio::parse("1."), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Ratio> {
        if let Some((num, den)) = text.split_once('/') {
            return Ratio::new(num.trim().parse().ok()?, den.trim().parse().ok()?);
        }
        let text = text.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (digits, ""),
        };
        if whole.is_empty() {
            return None;
        }
        let mut num = 0_i128;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            num = num.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        }
        let den = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        Ratio::new(if negative { -num } else { num }, den)
    }

    /// Expands the fraction into its continued-fraction terms.
    ///
    /// The first term is the floor of the value and may be negative; all
    /// others are positive. The iterator is finite, because the remainders of
    /// Euclid's algorithm shrink to zero.
    pub fn continued(self) -> impl Iterator<Item = i128> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let current = rest?;
            let term = current.num.div_euclid(current.den);
            let remainder = current.num.rem_euclid(current.den);
            rest = Ratio::new(current.den, remainder);
            Some(term)
        })
    }

    /// Finds the closest simple fraction among the convergents of this value.
    ///
    /// The denominator of the answer does not exceed `max_den` (at least 1);
    /// the last convergent that respects the limit is returned, so 31416/10000
    /// limited to 10 gives 22/7. Intermediate fractions between convergents
    /// are not considered.
    #[must_use]
    pub fn simplest_within(self, max_den: i128) -> Ratio {
        let (mut num, mut den) = (1_i128, 0_i128);
        let (mut old_num, mut old_den) = (0_i128, 1_i128);
        for term in self.continued() {
            let next = |new: i128, old: i128| term.checked_mul(new)?.checked_add(old);
            let (Some(next_num), Some(next_den)) = (next(num, old_num), next(den, old_den)) else {
                break;
            };
            if next_den > max_den.max(1) {
                break;
            }
            (old_num, old_den) = (num, den);
            (num, den) = (next_num, next_den);
        }
        Ratio::new(num, den).unwrap_or(self)
    }
}

impl Ord for Ratio {
    /// Compares two fractions without ever overflowing.
    ///
    /// The whole parts are compared first. On a tie the reciprocals of the
    /// remainders are compared in the opposite direction, as in the Euclidean
    /// algorithm, instead of multiplying across.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (*self, *other);
        let mut flipped = false;
        loop {
            let whole = left
                .num
                .div_euclid(left.den)
                .cmp(&right.num.div_euclid(right.den));
            let left_rest = left.num.rem_euclid(left.den);
            let right_rest = right.num.rem_euclid(right.den);
            let order = match (whole, left_rest, right_rest) {
                (Ordering::Equal, 0, 0) => return Ordering::Equal,
                (Ordering::Equal, 0, _) => Ordering::Less,
                (Ordering::Equal, _, 0) => Ordering::Greater,
                (Ordering::Equal, _, _) => {
                    (left.num, left.den) = (left.den, left_rest);
                    (right.num, right.den) = (right.den, right_rest);
                    flipped = !flipped;
                    continue;
                }
                (decided, _, _) => decided,
            };
            return if flipped { order.reverse() } else { order };
        }
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Ratio {
    /// Writes a terminating decimal where one exists and `a/b` otherwise.
    ///
    /// A fraction terminates when its denominator has no prime factors besides
    /// two and five; the number of decimals is the larger of the two
    /// exponents. Values whose scaled numerator would overflow fall back to the
    /// fraction form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.den;
        let mut exponent = |factor: i128| {
            let mut count = 0_u32;
            while rest % factor == 0 {
                rest /= factor;
                count += 1;
            }
            count
        };
        let places = exponent(2).max(exponent(5));
        let scaled = 10_i128
            .checked_pow(places)
            .filter(|_| rest == 1)
            .and_then(|scale| Some((scale, self.num.checked_mul(scale / self.den)?)));
        match scaled {
            Some((1, whole)) => write!(f, "{whole}"),
            Some((scale, value)) => {
                let sign = if value < 0 { "-" } else { "" };
                let scale = scale.unsigned_abs();
                let (whole, part) = (value.unsigned_abs() / scale, value.unsigned_abs() % scale);
                write!(f, "{sign}{whole}.{part:0width$}", width = places as usize)
            }
            None => write!(f, "{}/{}", self.num, self.den),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(num: i128, den: i128) -> Ratio {
        Ratio::new(num, den).unwrap()
    }

    #[test]
    fn construction_normalises() {
        assert_eq!(ratio(6, -8), ratio(-3, 4));
        assert_eq!(ratio(0, -5), Ratio::ZERO);
        assert_eq!(Ratio::new(1, 0), None);
    }

    #[test]
    fn arithmetic_is_exact() {
        assert_eq!(ratio(1, 10).checked_add(ratio(1, 5)), Some(ratio(3, 10)));
        assert_eq!(ratio(2, 3).checked_mul(ratio(9, 4)), Some(ratio(3, 2)));
        assert_eq!(ratio(2, 3).checked_pow(-3), Some(ratio(27, 8)));
        assert_eq!(Ratio::ZERO.checked_pow(-1), None);
        assert_eq!(ratio(i128::MAX, 1).checked_add(Ratio::ONE), None);
    }

    #[test]
    fn order_survives_huge_terms() {
        let big = ratio(i128::MAX, i128::MAX - 1);
        let bigger = ratio(i128::MAX - 1, i128::MAX - 2);
        assert!(big < bigger);
        assert!(ratio(-1, 2) < ratio(-1, 3));
        assert!(ratio(1, 3) < ratio(1, 2));
        assert_eq!(ratio(7, 3).cmp(&ratio(7, 3)), Ordering::Equal);
    }

    #[test]
    fn approximation_uses_convergents() {
        assert_eq!(ratio(31416, 10000).simplest_within(10), ratio(22, 7));
        let terms: Vec<i128> = ratio(-7, 3).continued().collect();
        assert_eq!(terms, [-3, 1, 2]);
    }

    #[test]
    fn text_round_trips() {
        for text in ["0.05", "-12.5", "7", "1/3", "-2/7"] {
            assert_eq!(Ratio::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Ratio::parse("1e3"), None);
    }
}
