//! Repeating events.

mod rule;

pub use rule::{Freq, Rule, RuleError};

use crate::civil::Date;

/// Merges several ascending date streams into one without duplicates.
///
/// At each step the earliest head among the streams is emitted and every stream
/// that shows that date is advanced. The result is lazy, so endless streams are
/// fine as long as the caller stops.
pub fn merge_streams<I>(streams: Vec<I>) -> impl Iterator<Item = Date>
where
    I: Iterator<Item = Date>,
{
    let mut heads: Vec<_> = streams.into_iter().map(Iterator::peekable).collect();
    std::iter::from_fn(move || {
        let next = heads.iter_mut().filter_map(|s| s.peek().copied()).min()?;
        for stream in &mut heads {
            while stream.peek() == Some(&next) {
                stream.next();
            }
        }
        Some(next)
    })
}

/// Looks for the shortest weekly, monthly or daily rule that explains the dates.
///
/// Dates must ascend strictly. Equal gaps give a daily rule, or a weekly one if
/// the gap divides by seven; failing that, equal month distances with the same
/// day of the month give a monthly one. Fewer than three dates are no evidence,
/// and the answer is `None`.
#[must_use]
pub fn infer_rule(dates: &[Date]) -> Option<Rule> {
    if dates.len() < 3 {
        return None;
    }
    let gap = dates[1].to_days() - dates[0].to_days();
    let even = dates
        .windows(2)
        .all(|w| w[1].to_days() - w[0].to_days() == gap);
    let (freq, interval) = if even && gap > 0 && gap % 7 == 0 {
        (Freq::Weekly, gap / 7)
    } else if even && gap > 0 {
        (Freq::Daily, gap)
    } else {
        let months = dates[0].months_and_days_until(dates[1]).0;
        let monthly = dates
            .windows(2)
            .all(|w| w[0].months_and_days_until(w[1]) == (months, 0));
        let same_day = dates.iter().all(|d| d.parts().2 == dates[0].parts().2);
        if !monthly || !same_day || months <= 0 {
            return None;
        }
        (Freq::Monthly, months)
    };
    Some(Rule {
        freq,
        interval: u32::try_from(interval).ok()?,
        ..Rule::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(texts: &[&str]) -> Vec<Date> {
        texts
            .iter()
            .map(|t| Date::parse_iso(t).expect("valid date"))
            .collect()
    }

    #[test]
    fn merging_drops_duplicates() {
        let a = dates(&["2024-01-01", "2024-01-05"]);
        let b = dates(&["2024-01-01", "2024-01-03"]);
        let merged: Vec<Date> = merge_streams(vec![a.into_iter(), b.into_iter()]).collect();
        assert_eq!(merged, dates(&["2024-01-01", "2024-01-03", "2024-01-05"]));
    }

    #[test]
    fn inference() {
        let weekly = infer_rule(&dates(&["2024-01-01", "2024-01-15", "2024-01-29"]));
        assert_eq!(
            weekly.map(|r| (r.freq, r.interval)),
            Some((Freq::Weekly, 2))
        );
        let monthly = infer_rule(&dates(&["2024-01-05", "2024-02-05", "2024-03-05"]));
        assert_eq!(
            monthly.map(|r| (r.freq, r.interval)),
            Some((Freq::Monthly, 1))
        );
        assert_eq!(
            infer_rule(&dates(&["2024-01-05", "2024-02-05", "2024-03-06"])),
            None
        );
    }
}
