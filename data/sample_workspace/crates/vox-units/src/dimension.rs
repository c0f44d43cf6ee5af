//! Dimensions: which base quantities a unit is made of.

/// Exponents of length, mass, time, current and temperature.
pub type Exponents = [i8; 5];

/// A product of powers of the base quantities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dimension(pub Exponents);

const SYMBOLS: [&str; 5] = ["L", "M", "T", "I", "K"];

impl Dimension {
    /// The dimension of pure numbers.
    pub const NONE: Dimension = Dimension([0; 5]);

    /// Combines two dimensions as multiplying `self` by `other` to the power
    /// `times` would.
    ///
    /// A power of -1 therefore divides. Exponents are checked: a product that
    /// leaves the range of `i8` gives `None` rather than wrapping.
    #[must_use]
    pub fn combine(self, other: Dimension, times: i8) -> Option<Dimension> {
        let mut exponents = self.0;
        for (mine, theirs) in exponents.iter_mut().zip(other.0) {
            let change = theirs.checked_mul(times)?;
            *mine = mine.checked_add(change)?;
        }
        Some(Dimension(exponents))
    }

    /// Takes the `degree`-th root if every exponent divides evenly.
    ///
    /// Used to type-check square roots: the root of an area is a length, the
    /// root of a volume is rejected. A degree of zero is rejected too.
    #[must_use]
    pub fn root(self, degree: i8) -> Option<Dimension> {
        if degree == 0 {
            return None;
        }
        let mut exponents = [0; 5];
        for (out, exponent) in exponents.iter_mut().zip(self.0) {
            if exponent % degree != 0 {
                return None;
            }
            *out = exponent / degree;
        }
        Some(Dimension(exponents))
    }

    /// Writes the dimension as a formula for error messages.
    ///
    /// Positive powers come first, negative ones follow after a slash, as in
    /// `L M / T^2`. An empty numerator is written `1`, and pure numbers are
    /// `1` without a slash.
    #[must_use]
    pub fn formula(self) -> String {
        let side = |wanted: fn(i8) -> bool| {
            let factors: Vec<String> = SYMBOLS
                .iter()
                .zip(self.0)
                .filter(|(_, exponent)| wanted(*exponent))
                .map(|(symbol, exponent)| match exponent.unsigned_abs() {
                    1 => (*symbol).to_string(),
                    power => format!("{symbol}^{power}"),
                })
                .collect();
            factors.join(" ")
        };
        let above = side(|exponent| exponent > 0);
        let below = side(|exponent| exponent < 0);
        match (above.is_empty(), below.is_empty()) {
            (true, true) => String::from("1"),
            (true, false) => format!("1 / {below}"),
            (false, true) => above,
            (false, false) => format!("{above} / {below}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Dimension = Dimension([1, 0, 0, 0, 0]);
    const TIME: Dimension = Dimension([0, 0, 1, 0, 0]);

    #[test]
    fn speed_is_length_over_time() {
        let speed = LENGTH.combine(TIME, -1).unwrap();
        assert_eq!(speed.formula(), "L / T");
        assert_eq!(speed.combine(TIME, 1), Some(LENGTH));
        assert_eq!(Dimension::NONE.formula(), "1");
    }

    #[test]
    fn roots_need_even_exponents() {
        let area = LENGTH.combine(LENGTH, 1).unwrap();
        assert_eq!(area.root(2), Some(LENGTH));
        assert_eq!(LENGTH.root(2), None);
        assert_eq!(area.root(0), None);
    }

    #[test]
    fn overflow_is_reported() {
        let extreme = Dimension([127, 0, 0, 0, 0]);
        assert_eq!(extreme.combine(LENGTH, 1), None);
    }
}
