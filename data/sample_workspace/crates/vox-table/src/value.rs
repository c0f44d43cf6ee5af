//! Cell values and their total order.

use std::cmp::Ordering;
use std::fmt;

/// The content of one table cell.
#[derive(Clone, Debug)]
pub enum Value {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
}

impl Value {
    /// Guesses the type of a cell from its text.
    ///
    /// Blank text and the word `null` become [`Value::Null`]. Then truth
    /// values, whole numbers and finite reals are tried in this order; what is
    /// left is text, kept without trimming. Numbers with a leading zero such
    /// as `007` stay text because they are usually identifiers.
    #[must_use]
    pub fn infer(cell: &str) -> Value {
        let trimmed = cell.trim();
        match trimmed {
            "" | "null" => return Value::Null,
            "true" => return Value::Bool(true),
            "false" => return Value::Bool(false),
            _ => {}
        }
        let digits = trimmed.trim_start_matches(['-', '+']);
        let padded =
            digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit());
        let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        if numeric && !padded {
            if let Ok(whole) = trimmed.parse::<i64>() {
                return Value::Int(whole);
            }
            if let Some(real) = trimmed.parse::<f64>().ok().filter(|real| real.is_finite()) {
                return Value::Real(real);
            }
        }
        Value::Text(cell.to_string())
    }

    const fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) | Value::Real(_) => 2,
            Value::Text(_) => 3,
        }
    }

    /// Reads the cell as a number for statistics.
    ///
    /// Truth values count as zero and one. Null, text and non-finite reals
    /// have no numeric value; large integers lose precision as usual.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Value::Int(whole) => Some(*whole as f64),
            Value::Real(real) if real.is_finite() => Some(*real),
            Value::Real(_) | Value::Null | Value::Text(_) => None,
        }
    }
}

/// Compares an integer with a real number without rounding the integer.
///
/// The real is split into its floor and fraction; the floor is compared as an
/// integer and a remaining fraction decides ties. Values outside the range of
/// `i64` and infinities compare by sign. Not-a-number is greater than
/// everything, matching the order of [`f64::total_cmp`] for positive NaN.
#[must_use]
pub fn compare_int_real(whole: i64, real: f64) -> Ordering {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if real.is_nan() || real >= LIMIT {
        return Ordering::Less;
    }
    if real < -LIMIT {
        return Ordering::Greater;
    }
    let floor = real.floor();
    match whole.cmp(&(floor as i64)) {
        Ordering::Equal if real > floor => Ordering::Less,
        decided => decided,
    }
}

impl Ord for Value {
    /// Orders cells of any types: null, truth values, numbers, then text.
    ///
    /// Integers and reals share one scale, so `Int(2)` equals `Real(2.0)`.
    /// Negative zero is made equal to zero, and every NaN is one value above
    /// all numbers, which gives sorting and indexing a total order.
    fn cmp(&self, other: &Self) -> Ordering {
        let canonical = |real: f64| if real.is_nan() { f64::NAN } else { real + 0.0 };
        match (self, other) {
            (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
            (Value::Int(left), Value::Int(right)) => left.cmp(right),
            (Value::Real(left), Value::Real(right)) => {
                canonical(*left).total_cmp(&canonical(*right))
            }
            (Value::Int(left), Value::Real(right)) => compare_int_real(*left, *right),
            (Value::Real(left), Value::Int(right)) => compare_int_real(*right, *left).reverse(),
            (Value::Text(left), Value::Text(right)) => left.cmp(right),
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Ok(()),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Int(whole) => write!(f, "{whole}"),
            Value::Real(real) => write!(f, "{real}"),
            Value::Text(text) => f.write_str(text),
        }
    }
}

/// Builds a row from mixed literals: `row![1, "a", null]`.
#[macro_export]
macro_rules! row {
    (@cell null) => { $crate::Value::Null };
    (@cell $value:expr) => { $crate::Value::from($value) };
    ($($cell:tt),* $(,)?) => { vec![$($crate::row!(@cell $cell)),*] };
}

macro_rules! value_from {
    ($($source:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$source> for Value {
            fn from(source: $source) -> Self {
                Value::$variant(source.into())
            }
        })+
    };
}

value_from! {
    bool => Bool,
    i64 => Int,
    i32 => Int,
    f64 => Real,
    &str => Text,
    String => Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inference_prefers_the_narrowest_type() {
        assert!(matches!(Value::infer(" 42 "), Value::Int(42)));
        assert!(matches!(Value::infer("-0.5"), Value::Real(_)));
        assert!(matches!(Value::infer("007"), Value::Text(_)));
        assert!(matches!(Value::infer("0"), Value::Int(0)));
        assert!(matches!(Value::infer("nan"), Value::Text(_)));
        assert!(matches!(Value::infer("  "), Value::Null));
    }

    #[test]
    fn mixed_numbers_compare_exactly() {
        let big = 9_007_199_254_740_993_i64;
        assert!(Value::Int(big) > Value::Real(9_007_199_254_740_992.0));
        assert_eq!(Value::Int(2), Value::Real(2.0));
        assert_eq!(Value::Real(-0.0), Value::Int(0));
        assert!(Value::Int(-3) < Value::Real(-2.5));
        assert!(Value::Int(i64::MAX) < Value::Real(f64::INFINITY));
        assert!(Value::Real(f64::NAN) > Value::Real(f64::INFINITY));
        assert!(Value::Null < Value::Bool(false));
    }
}
