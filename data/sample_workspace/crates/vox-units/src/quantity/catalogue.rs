//! The unit catalogue: names, factors and prefixes.

use crate::dimension::Dimension;
use crate::rational::Ratio;

/// How a unit relates to the base unit of its dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Base units per one of this unit.
    pub factor: Ratio,
    /// Value in base units of this unit's zero point (for temperatures).
    pub offset: Ratio,
    /// What the unit measures.
    pub dimension: Dimension,
}

struct Entry {
    symbol: &'static str,
    num: i128,
    den: i128,
    dimension: [i8; 5],
    prefixable: bool,
}

/// Lists catalogue entries in a table-like notation.
macro_rules! entries {
    ($($symbol:literal = $num:literal / $den:literal, $dimension:expr, $prefix:literal;)+) => {
        &[$(Entry {
            symbol: $symbol,
            num: $num,
            den: $den,
            dimension: $dimension,
            prefixable: $prefix,
        }),+]
    };
}

const LENGTH: [i8; 5] = [1, 0, 0, 0, 0];
const MASS: [i8; 5] = [0, 1, 0, 0, 0];
const TIME: [i8; 5] = [0, 0, 1, 0, 0];
const HEAT: [i8; 5] = [0, 0, 0, 0, 1];

static CATALOGUE: &[Entry] = entries! {
    "m" = 1 / 1, LENGTH, true;
    "in" = 127 / 5000, LENGTH, false;
    "ft" = 381 / 1250, LENGTH, false;
    "mi" = 201_168 / 125, LENGTH, false;
    "g" = 1 / 1000, MASS, true;
    "t" = 1000 / 1, MASS, false;
    "lb" = 45_359_237 / 100_000_000, MASS, false;
    "s" = 1 / 1, TIME, true;
    "min" = 60 / 1, TIME, false;
    "h" = 3600 / 1, TIME, false;
    "d" = 86_400 / 1, TIME, false;
    "Hz" = 1 / 1, [0, 0, -1, 0, 0], true;
    "N" = 1 / 1, [1, 1, -2, 0, 0], true;
    "J" = 1 / 1, [2, 1, -2, 0, 0], true;
    "W" = 1 / 1, [2, 1, -3, 0, 0], true;
    "L" = 1 / 1000, [3, 0, 0, 0, 0], true;
    "A" = 1 / 1, [0, 0, 0, 1, 0], true;
    "K" = 1 / 1, HEAT, true;
    "degC" = 1 / 1, HEAT, false;
    "degF" = 5 / 9, HEAT, false;
    "%" = 1 / 100, [0; 5], false;
};

/// Powers of ten by prefix letter; `u` stands for micro.
static PREFIXES: &[(char, i32)] = &[
    ('n', -9),
    ('u', -6),
    ('m', -3),
    ('c', -2),
    ('d', -1),
    ('h', 2),
    ('k', 3),
    ('M', 6),
    ('G', 9),
];

fn zero_point(symbol: &str) -> Option<Ratio> {
    match symbol {
        "degC" => Ratio::new(27_315, 100),
        "degF" => Ratio::new(45_967 * 5, 900),
        _ => Some(Ratio::ZERO),
    }
}

/// Resolves a unit symbol, with or without a metric prefix.
///
/// An exact entry always wins over a reading with a prefix, so `min` is the
/// minute and not a milli-inch. The prefix is a single character, and only
/// units marked as prefixable accept one. Unknown symbols give `None`.
#[must_use]
pub fn lookup(symbol: &str) -> Option<Unit> {
    let find = |name: &str| CATALOGUE.iter().find(|entry| entry.symbol == name);
    let (entry, power) = match find(symbol) {
        Some(entry) => (entry, 0),
        None => {
            let prefix = symbol.chars().next()?;
            let &(_, power) = PREFIXES.iter().find(|(letter, _)| *letter == prefix)?;
            let entry = find(&symbol[prefix.len_utf8()..]).filter(|entry| entry.prefixable)?;
            (entry, power)
        }
    };
    let scale = Ratio::new(10, 1)?.checked_pow(power)?;
    Some(Unit {
        factor: Ratio::new(entry.num, entry.den)?.checked_mul(scale)?,
        offset: zero_point(entry.symbol)?,
        dimension: Dimension(entry.dimension),
    })
}

/// Chooses the prefix that writes `value` with one to three leading digits.
///
/// Only the thousand steps (`n`, `u`, `m`, none, `k`, `M`, `G`) take part. The
/// result is the scaled value and the prefixed symbol. Zero keeps the plain
/// symbol, values beyond the table use its last prefix, and symbols that
/// accept no prefix are returned unchanged.
#[must_use]
pub fn best_prefix(value: Ratio, symbol: &str) -> (Ratio, String) {
    let plain = (value, symbol.to_string());
    let prefixable = CATALOGUE
        .iter()
        .any(|entry| entry.symbol == symbol && entry.prefixable);
    if !prefixable || value == Ratio::ZERO {
        return plain;
    }
    let steps = PREFIXES
        .iter()
        .filter(|(_, power)| power % 3 == 0)
        .map(|&(letter, power)| (letter.to_string(), power))
        .chain([(String::new(), 0)]);
    let mut scaled: Vec<(i32, Ratio, String)> = steps
        .filter_map(|(letter, power)| {
            let ten = Ratio::new(10, 1)?;
            let shifted = value.checked_mul(ten.checked_pow(-power)?)?;
            Some((power, shifted, format!("{letter}{symbol}")))
        })
        .collect();
    scaled.sort_by_key(|(power, _, _)| *power);
    let reaches_one = |value: &Ratio| value.numerator().abs() >= value.denominator();
    let chosen = scaled
        .iter()
        .rposition(|(_, value, _)| reaches_one(value))
        .unwrap_or(0);
    scaled
        .into_iter()
        .nth(chosen)
        .map_or(plain, |(_, value, name)| (value, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_names_beat_prefixes() {
        assert_eq!(lookup("min").unwrap().factor, Ratio::new(60, 1).unwrap());
        assert_eq!(lookup("km").unwrap().factor, Ratio::new(1000, 1).unwrap());
        assert_eq!(lookup("kg").unwrap().factor, Ratio::ONE);
        assert!(lookup("kft").is_none());
        assert!(lookup("").is_none());
    }

    #[test]
    fn prefixes_follow_magnitude() {
        let value = |num, den| Ratio::new(num, den).unwrap();
        assert_eq!(
            best_prefix(value(25_000, 1), "W"),
            (value(25, 1), "kW".into())
        );
        assert_eq!(
            best_prefix(value(-1, 200), "s"),
            (value(-5, 1), "ms".into())
        );
        assert_eq!(
            best_prefix(value(5000, 1), "ft"),
            (value(5000, 1), "ft".into())
        );
    }
}
