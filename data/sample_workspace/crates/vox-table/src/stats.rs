//! Column statistics.

use crate::value::Value;

/// One-pass summary of the numbers in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Cells that hold a number.
    pub count: usize,
    /// Cells that do not.
    pub missing: usize,
    /// Arithmetic mean, zero for no numbers.
    pub mean: f64,
    /// Sample variance, zero for fewer than two numbers.
    pub variance: f64,
    /// Smallest and largest number.
    pub range: Option<(f64, f64)>,
}

/// Summarises a column in one pass with Welford's update.
///
/// The running mean and the sum of squared deviations are corrected at each
/// number, which stays accurate even if the mean is large compared with the
/// spread. Cells without a number only raise the `missing` counter.
#[must_use]
pub fn summarise<'v, I>(cells: I) -> Summary
where
    I: IntoIterator<Item = &'v Value>,
{
    let mut summary = Summary::default();
    let mut squares = 0.0;
    for cell in cells {
        let Some(number) = cell.as_number() else {
            summary.missing += 1;
            continue;
        };
        summary.count += 1;
        let delta = number - summary.mean;
        summary.mean += delta / summary.count as f64;
        squares += delta * (number - summary.mean);
        summary.range = Some(match summary.range {
            None => (number, number),
            Some((low, high)) => (low.min(number), high.max(number)),
        });
    }
    if summary.count > 1 {
        summary.variance = squares / (summary.count - 1) as f64;
    }
    summary
}

/// Interpolates a quantile between the two nearest ranks.
///
/// `fraction` runs from 0 (smallest) to 1 (largest); 0.5 is the median. The
/// numbers need not be sorted. An empty input, a fraction outside the range,
/// and any NaN give `None`.
///
/// # Examples
///
/// ```
/// use vox_table::stats::quantile;
/// assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
/// assert_eq!(quantile(&[], 0.5), None);
/// ```
#[must_use]
pub fn quantile(numbers: &[f64], fraction: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&fraction) || numbers.iter().any(|number| number.is_nan()) {
        return None;
    }
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let rank = fraction * last as f64;
    let below = (rank.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let share = rank - below as f64;
    Some(sorted[below] + (sorted[above] - sorted[below]) * share)
}

/// Counts numbers in `bins` equal intervals between the extremes.
///
/// Each interval includes its lower bound; the last one also includes the
/// maximum. If all numbers are equal they land in the first bin. The result is
/// empty when there are no finite numbers or no bins.
#[must_use]
pub fn histogram(numbers: &[f64], bins: usize) -> Vec<usize> {
    let finite = || numbers.iter().copied().filter(|number| number.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    if bins == 0 || low > high {
        return Vec::new();
    }
    let mut counts = vec![0; bins];
    let width = (high - low) / bins as f64;
    for number in finite() {
        let bin = if width > 0.0 {
            ((number - low) / width) as usize
        } else {
            0
        };
        counts[bin.min(bins - 1)] += 1;
    }
    counts
}

/// Finds candidates for values that make up more than `1 / (slots + 1)` of a
/// column, keeping only `slots` counters.
///
/// This is the frequent-items scheme of Misra and Gries: an unknown value takes
/// a free slot, or else every counter drops by one and empty slots are freed.
/// Each truly frequent value is present in the answer; the counts are lower
/// bounds, and rare values may appear too. Order is not specified.
#[must_use]
pub fn frequent_candidates<'v, I>(cells: I, slots: usize) -> Vec<(&'v Value, usize)>
where
    I: IntoIterator<Item = &'v Value>,
{
    let mut counters: Vec<(&Value, usize)> = Vec::with_capacity(slots);
    for cell in cells {
        if let Some((_, count)) = counters.iter_mut().find(|(known, _)| *known == cell) {
            *count += 1;
        } else if counters.len() < slots {
            counters.push((cell, 1));
        } else {
            counters.retain_mut(|(_, count)| {
                *count -= 1;
                *count > 0
            });
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;

    #[test]
    fn summary_is_stable_for_large_means() {
        let cells = row![1_000_000_001, 1_000_000_002, 1_000_000_003, null, "x"];
        let summary = summarise(&cells);
        assert_eq!((summary.count, summary.missing), (3, 2));
        assert!((summary.variance - 1.0).abs() < 1e-9);
        assert_eq!(summary.range, Some((1_000_000_001.0, 1_000_000_003.0)));
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[10.0, 20.0], 0.25), Some(12.5));
        assert_eq!(quantile(&[7.0], 1.0), Some(7.0));
        assert_eq!(quantile(&[1.0], 1.5), None);
    }

    #[test]
    fn histogram_includes_the_maximum() {
        assert_eq!(histogram(&[0.0, 1.0, 2.0, 4.0], 2), [2, 2]);
        assert_eq!(histogram(&[3.0, 3.0, f64::NAN], 3), [2, 0, 0]);
        assert!(histogram(&[f64::NAN], 3).is_empty());
    }

    #[test]
    fn majority_survives() {
        let cells = row!["a", "b", "a", "c", "a"];
        let found = frequent_candidates(&cells, 1);
        assert_eq!(found[0].0, &Value::from("a"));
    }
}
