//! Money in minor units, with explicit rounding.

use crate::rational::Ratio;

/// What to do with a fraction of a minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, halves away from zero.
    HalfUp,
    /// To the nearest, halves to the even neighbour.
    HalfEven,
    /// Towards negative infinity.
    Down,
    /// Towards positive infinity.
    Up,
}

/// An amount of one currency, counted in its minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// Signed number of minor units (cents).
    pub minor: i64,
    /// Three-letter currency code.
    pub code: [u8; 3],
}

/// Gives the number of decimals that amounts in a currency are written with.
///
/// The exceptions to the usual two are listed; an unknown code gets two as
/// well, since refusing it would make new currencies unusable.
#[must_use]
pub const fn minor_digits(code: [u8; 3]) -> u32 {
    match &code {
        b"JPY" | b"KRW" | b"VND" | b"ISK" => 0,
        b"BHD" | b"KWD" | b"TND" => 3,
        _ => 2,
    }
}

/// Rounds a fraction to an integer by the chosen rule.
///
/// The floor and the remainder decide: directed modes look only at whether
/// there is a remainder, the nearest modes compare twice the remainder with
/// the denominator. Halves of negative numbers follow the mode literally, so
/// `HalfUp` takes -2.5 to -3. `None` reports overflow.
#[must_use]
pub fn round_ratio(value: Ratio, mode: Rounding) -> Option<i128> {
    let floor = value.numerator().div_euclid(value.denominator());
    let rest = value.numerator().rem_euclid(value.denominator());
    if rest == 0 {
        return Some(floor);
    }
    let above = rest.cmp(&(value.denominator() - rest));
    let up = match mode {
        Rounding::Down => false,
        Rounding::Up => true,
        Rounding::HalfUp => above.is_gt() || (above.is_eq() && floor >= 0),
        Rounding::HalfEven => above.is_gt() || (above.is_eq() && floor % 2 != 0),
    };
    floor.checked_add(i128::from(up))
}

impl Money {
    /// Converts an exact amount in major units, rounding at the minor unit.
    ///
    /// `None` means that the rounded amount does not fit 64 bits.
    #[must_use]
    pub fn from_major(amount: Ratio, code: [u8; 3], mode: Rounding) -> Option<Money> {
        let scale = Ratio::new(10_i128.pow(minor_digits(code)), 1)?;
        let minor = round_ratio(amount.checked_mul(scale)?, mode)?;
        Some(Money {
            minor: i64::try_from(minor).ok()?,
            code,
        })
    }

    /// Shares the amount among weights without losing or inventing a cent.
    ///
    /// Every share is first rounded toward zero; the cents left over then go
    /// one by one to the shares with the largest discarded fraction, earlier
    /// positions first on a tie. The shares always add up to the amount.
    /// `None` is returned if there are no weights or all are zero.
    #[must_use]
    pub fn allocate(self, weights: &[u32]) -> Option<Vec<Money>> {
        let whole: i128 = weights.iter().map(|&weight| i128::from(weight)).sum();
        if whole == 0 {
            return None;
        }
        let exact: Vec<i128> = weights
            .iter()
            .map(|&weight| i128::from(self.minor) * i128::from(weight))
            .collect();
        let mut shares: Vec<i128> = exact.iter().map(|part| part / whole).collect();
        let missing = i128::from(self.minor) - shares.iter().sum::<i128>();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse((exact[at] % whole).abs()));
        let count = usize::try_from(missing.abs()).ok()?;
        for &at in order.iter().take(count) {
            shares[at] += missing.signum();
        }
        shares
            .into_iter()
            .map(|minor| {
                Some(Money {
                    minor: i64::try_from(minor).ok()?,
                    code: self.code,
                })
            })
            .collect()
    }

    /// Formats the amount with grouped digits, like `-1,234.50 EUR`.
    ///
    /// The number of decimals follows the currency; a currency without minor
    /// unit has no decimal point. `group` separates thousands and `point` the
    /// decimals, so that callers can follow local custom.
    #[must_use]
    pub fn format(self, group: char, point: char) -> String {
        let digits = minor_digits(self.code);
        let scale = 10_u64.pow(digits);
        let magnitude = self.minor.unsigned_abs();
        let whole = (magnitude / scale).to_string();
        let mut out = String::new();
        if self.minor < 0 {
            out.push('-');
        }
        let leading = whole.len() % 3;
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && at % 3 == leading {
                out.push(group);
            }
            out.push(digit);
        }
        if digits > 0 {
            let cents = magnitude % scale;
            out.push(point);
            out.push_str(&format!("{cents:0width$}", width = digits as usize));
        }
        out.push(' ');
        out.extend(self.code.iter().map(|&byte| char::from(byte)));
        out
    }
}

/// Rounds an amount to a multiple of `step` minor units, as for cash payment.
///
/// With a step of 5, 1.02 becomes 1.00 and 1.03 becomes 1.05. The chosen
/// rounding mode applies to the quotient. A step of zero or less, or a result
/// that overflows, gives `None`.
#[must_use]
pub fn round_to_step(amount: Money, step: i64, mode: Rounding) -> Option<Money> {
    if step <= 0 {
        return None;
    }
    let quotient = Ratio::new(i128::from(amount.minor), i128::from(step))?;
    let steps = round_ratio(quotient, mode)?;
    let minor = steps.checked_mul(i128::from(step))?;
    Some(Money {
        minor: i64::try_from(minor).ok()?,
        ..amount
    })
}

/// Computes the level payment of a loan, exactly up to the final rounding.
///
/// The annuity formula `p * r / (1 - (1 + r)^-n)` is evaluated in rational
/// numbers, where `rate` is the interest per period; without interest the
/// principal is divided evenly. The payment is rounded up so that the loan is
/// never underpaid. `None` covers zero periods and overflow; at a rate of whole
/// percents, the exact powers outgrow 128 bits beyond about fifteen periods.
#[must_use]
pub fn level_payment(principal: Money, rate: Ratio, periods: u16) -> Option<Money> {
    if periods == 0 {
        return None;
    }
    let amount = Ratio::new(i128::from(principal.minor), 1)?;
    let payment = if rate == Ratio::ZERO {
        amount.checked_mul(Ratio::new(1, i128::from(periods))?)?
    } else {
        let growth = Ratio::ONE.checked_add(rate)?;
        let discount = growth.checked_pow(-i32::from(periods))?;
        let negated = Ratio::new(-discount.numerator(), discount.denominator())?;
        let annuity = Ratio::ONE.checked_add(negated)?.checked_pow(-1)?;
        amount.checked_mul(rate)?.checked_mul(annuity)?
    };
    Some(Money {
        minor: i64::try_from(round_ratio(payment, Rounding::Up)?).ok()?,
        ..principal
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EUR: [u8; 3] = *b"EUR";

    fn cents(minor: i64) -> Money {
        Money { minor, code: EUR }
    }

    #[test]
    fn halves_follow_the_mode() {
        let half = |num| Ratio::new(num, 2).unwrap();
        assert_eq!(round_ratio(half(5), Rounding::HalfEven), Some(2));
        assert_eq!(round_ratio(half(7), Rounding::HalfEven), Some(4));
        assert_eq!(round_ratio(half(5), Rounding::HalfUp), Some(3));
        assert_eq!(round_ratio(half(-5), Rounding::HalfUp), Some(-3));
        assert_eq!(round_ratio(half(-5), Rounding::Up), Some(-2));
        assert_eq!(round_ratio(half(-5), Rounding::Down), Some(-3));
    }

    #[test]
    fn major_amounts_use_the_currency_scale() {
        let amount = Ratio::parse("12.3456").unwrap();
        let mode = Rounding::HalfEven;
        assert_eq!(Money::from_major(amount, *b"JPY", mode).unwrap().minor, 12);
        assert_eq!(
            Money::from_major(amount, *b"KWD", mode).unwrap().minor,
            12_346
        );
    }

    #[test]
    fn allocation_adds_up() {
        let minors = |money: Money, weights: &[u32]| -> Vec<i64> {
            let shares = money.allocate(weights).unwrap();
            shares.iter().map(|share| share.minor).collect()
        };
        assert_eq!(minors(cents(100), &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(minors(cents(-5), &[3, 7]), [-2, -3]);
        assert_eq!(cents(5).allocate(&[0, 0]), None);
    }

    #[test]
    fn formatting_groups_thousands() {
        assert_eq!(cents(-123_456_789).format(',', '.'), "-1,234,567.89 EUR");
        let yen = Money {
            minor: 1200,
            code: *b"JPY",
        };
        assert_eq!(yen.format(' ', ','), "1 200 JPY");
    }

    #[test]
    fn cash_rounding_uses_steps() {
        let round = |minor| {
            round_to_step(cents(minor), 5, Rounding::HalfUp)
                .unwrap()
                .minor
        };
        assert_eq!((round(102), round(103), round(-103)), (100, 105, -105));
        assert_eq!(round_to_step(cents(1), 0, Rounding::Up), None);
    }

    #[test]
    fn payments_cover_the_loan() {
        let rate = Ratio::new(1, 100).unwrap();
        let payment = level_payment(cents(100_000), rate, 12).unwrap();
        assert_eq!(payment.minor, 8885);
        let plain = level_payment(cents(100), Ratio::ZERO, 3).unwrap();
        assert_eq!(plain.minor, 34);
    }
}
