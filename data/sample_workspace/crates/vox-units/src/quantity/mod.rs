//! Quantities: a rational value together with a compound unit.

pub mod catalogue;

use std::fmt;

use crate::dimension::Dimension;
use crate::rational::Ratio;
use catalogue::{lookup, Unit};

/// Why a quantity could not be read or converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitError {
    /// No unit has this symbol.
    Unknown(String),
    /// The number in front of the unit is malformed.
    BadNumber(String),
    /// The two sides measure different things.
    Incompatible {
        /// Formula of the source dimension.
        from: String,
        /// Formula of the target dimension.
        to: String,
    },
    /// A result does not fit into 128 bits.
    Overflow,
    /// A temperature with a zero point was combined with another unit.
    AffineInCompound(String),
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnitError::Unknown(symbol) => write!(f, "unknown unit `{symbol}`"),
            UnitError::BadNumber(text) => write!(f, "`{text}` is not a number"),
            UnitError::Incompatible { from, to } => write!(f, "cannot convert {from} to {to}"),
            UnitError::Overflow => f.write_str("value is too large"),
            UnitError::AffineInCompound(unit) => {
                write!(f, "`{unit}` cannot be part of a compound unit")
            }
        }
    }
}

impl std::error::Error for UnitError {}

/// A value in base units and the dimension it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// Amount in base units (metre, kilogram, second, ampere, kelvin).
    pub base: Ratio,
    /// What is measured.
    pub dimension: Dimension,
}

/// Evaluates a compound unit expression such as `kg*m/s^2`.
///
/// Factors are separated by `*` or `/`, each with an optional integer power
/// after `^`; a slash applies to the next factor only. The empty expression
/// is the pure number one. An offset survives only if the expression is a
/// single unit without power.
///
/// # Errors
///
/// Unknown symbols (an operator without a factor counts as the empty symbol),
/// malformed powers (reported as a bad number), overflow, and units with an
/// offset inside a product or under a power.
pub fn parse_unit(expression: &str) -> Result<Unit, UnitError> {
    let mut total = Unit {
        factor: Ratio::ONE,
        offset: Ratio::ZERO,
        dimension: Dimension::NONE,
    };
    let expression = expression.trim();
    if expression.is_empty() {
        return Ok(total);
    }
    if expression.ends_with(['*', '/']) {
        return Err(UnitError::Unknown(String::new()));
    }
    let mut sign = 1_i8;
    for part in expression.split_inclusive(['*', '/']) {
        let factor = part.trim_end_matches(['*', '/']).trim();
        let (symbol, power) = match factor.split_once('^') {
            Some((symbol, digits)) => {
                let power: i8 = digits
                    .parse()
                    .map_err(|_| UnitError::BadNumber(digits.to_string()))?;
                (symbol, power)
            }
            None => (factor, 1),
        };
        let unit = lookup(symbol).ok_or_else(|| UnitError::Unknown(symbol.to_string()))?;
        if unit.offset != Ratio::ZERO {
            if symbol == expression {
                return Ok(unit);
            }
            return Err(UnitError::AffineInCompound(symbol.to_string()));
        }
        let power = power.checked_mul(sign).ok_or(UnitError::Overflow)?;
        let combine = || {
            let scale = unit.factor.checked_pow(i32::from(power))?;
            let dimension = total.dimension.combine(unit.dimension, power)?;
            Some((total.factor.checked_mul(scale)?, dimension))
        };
        (total.factor, total.dimension) = combine().ok_or(UnitError::Overflow)?;
        sign = if part.ends_with('/') { -1 } else { 1 };
    }
    Ok(total)
}

impl Quantity {
    /// Reads a number followed by a unit expression, for example `12.5 km/h`.
    ///
    /// The number ends at the first letter or percent sign; blanks in between
    /// are optional. A text without unit is a pure number. Offsets are applied,
    /// so `20 degC` is stored as 293.15 kelvin.
    ///
    /// # Errors
    ///
    /// As [`parse_unit`], and [`UnitError::BadNumber`] for the leading number.
    pub fn parse(text: &str) -> Result<Quantity, UnitError> {
        let split = text
            .find(|ch: char| ch.is_alphabetic() || ch == '%')
            .unwrap_or(text.len());
        let (number, expression) = text.split_at(split);
        let value =
            Ratio::parse(number).ok_or_else(|| UnitError::BadNumber(number.trim().to_string()))?;
        let unit = parse_unit(expression)?;
        let base = value
            .checked_mul(unit.factor)
            .and_then(|scaled| scaled.checked_add(unit.offset))
            .ok_or(UnitError::Overflow)?;
        Ok(Quantity {
            base,
            dimension: unit.dimension,
        })
    }

    /// Expresses the quantity in another unit and returns the bare number.
    ///
    /// The conversion subtracts the target's zero point and divides by its
    /// factor, both exactly.
    ///
    /// # Errors
    ///
    /// [`UnitError::Incompatible`] names both dimensions when they differ.
    ///
    /// # Examples
    ///
    /// ```
    /// use vox_units::{Quantity, Ratio};
    /// let speed = Quantity::parse("36 km/h").unwrap();
    /// assert_eq!(speed.in_unit("m/s"), Ok(Ratio::new(10, 1).unwrap()));
    /// ```
    pub fn in_unit(self, expression: &str) -> Result<Ratio, UnitError> {
        let unit = parse_unit(expression)?;
        if unit.dimension != self.dimension {
            return Err(UnitError::Incompatible {
                from: self.dimension.formula(),
                to: unit.dimension.formula(),
            });
        }
        let negated = Ratio::new(-unit.offset.numerator(), unit.offset.denominator());
        negated
            .and_then(|offset| self.base.checked_add(offset))
            .and_then(|shifted| shifted.checked_mul(unit.factor.checked_pow(-1)?))
            .ok_or(UnitError::Overflow)
    }

    /// Splits the quantity into whole amounts of descending units.
    ///
    /// Used for readings such as 1 h 4 min 30 s: every unit but the last takes
    /// its whole part, and the last one keeps the exact rest. The sign of a
    /// negative quantity appears on every part.
    ///
    /// # Errors
    ///
    /// Fails like [`Quantity::in_unit`] if a unit has another dimension.
    pub fn split_into<'u>(self, units: &[&'u str]) -> Result<Vec<(Ratio, &'u str)>, UnitError> {
        let mut parts = Vec::with_capacity(units.len());
        let mut rest = self;
        for (index, &symbol) in units.iter().enumerate() {
            let amount = rest.in_unit(symbol)?;
            if index + 1 == units.len() {
                parts.push((amount, symbol));
                break;
            }
            let whole = amount.numerator() / amount.denominator();
            let whole = Ratio::new(whole, 1).ok_or(UnitError::Overflow)?;
            let factor = parse_unit(symbol)?.factor;
            let taken = whole
                .checked_mul(factor)
                .and_then(|taken| Ratio::new(-taken.numerator(), taken.denominator()))
                .ok_or(UnitError::Overflow)?;
            rest.base = rest.base.checked_add(taken).ok_or(UnitError::Overflow)?;
            parts.push((whole, symbol));
        }
        Ok(parts)
    }
}

/// Adds up quantities that must all share one dimension.
///
/// The first item fixes the dimension of the sum. An empty sequence has no
/// dimension and therefore gives `Ok(None)`.
///
/// # Errors
///
/// [`UnitError::Incompatible`] at the first item that measures something
/// else, with the sum's dimension as the target.
pub fn total<I>(items: I) -> Result<Option<Quantity>, UnitError>
where
    I: IntoIterator<Item = Quantity>,
{
    let mut sum: Option<Quantity> = None;
    for item in items {
        sum = Some(match sum {
            None => item,
            Some(so_far) if so_far.dimension == item.dimension => Quantity {
                base: so_far
                    .base
                    .checked_add(item.base)
                    .ok_or(UnitError::Overflow)?,
                ..so_far
            },
            Some(so_far) => {
                return Err(UnitError::Incompatible {
                    from: item.dimension.formula(),
                    to: so_far.dimension.formula(),
                })
            }
        });
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compound_units_multiply_out() {
        let force = Quantity::parse("3 kg*m/s^2").unwrap();
        assert_eq!(force.in_unit("N"), Ok(Ratio::new(3, 1).unwrap()));
        assert_eq!(force.dimension.formula(), "L M / T^2");
        assert!(matches!(
            Quantity::parse("2 parsec"),
            Err(UnitError::Unknown(symbol)) if symbol == "parsec"
        ));
        assert!(parse_unit("m^x").is_err());
        assert!(parse_unit("m/").is_err());
    }

    #[test]
    fn temperatures_respect_zero_points() {
        let body = Quantity::parse("98.6 degF").unwrap();
        assert_eq!(body.in_unit("degC"), Ok(Ratio::new(37, 1).unwrap()));
        assert_eq!(
            Quantity::parse("1 degC*m"),
            Err(UnitError::AffineInCompound("degC".into()))
        );
        assert!(parse_unit("degC^2").is_err());
    }

    #[test]
    fn splitting_keeps_the_rest_exact() {
        let parts = Quantity::parse("3870.5 s")
            .unwrap()
            .split_into(&["h", "min", "s"])
            .unwrap();
        let shown: Vec<String> = parts.iter().map(|(n, unit)| format!("{n}{unit}")).collect();
        assert_eq!(shown, ["1h", "4min", "30.5s"]);
    }

    #[test]
    fn sums_check_dimensions() {
        let metre = Quantity::parse("1 m").unwrap();
        let foot = Quantity::parse("10 ft").unwrap();
        let sum = total([metre, foot]).unwrap().unwrap();
        assert_eq!(sum.base.to_string(), "4.048");
        assert!(total([metre, Quantity::parse("1 s").unwrap()]).is_err());
        assert_eq!(total([]), Ok(None));
    }
}
