//! A compact recurrence rule and its expansion.

use crate::civil::{Date, Weekday};
use crate::week::nth_weekday;
use std::fmt;

/// The base period of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Freq {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// When an event repeats. Unset limits mean that it never ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Base period.
    pub freq: Freq,
    /// Number of base periods between repetitions, at least 1.
    pub interval: u32,
    /// Weekdays to pick in each week (weekly) or month (monthly), the latter
    /// with an ordinal; the ordinal is 0 for weekly rules.
    pub by_day: Vec<(i8, Weekday)>,
    /// Largest number of occurrences.
    pub count: Option<usize>,
    /// Last date that may occur.
    pub until: Option<Date>,
}

/// A part of a rule that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// The offending `KEY=value` part.
    pub part: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {:?} in a rule", self.part)
    }
}

impl std::error::Error for RuleError {}

impl Default for Rule {
    fn default() -> Self {
        Rule {
            freq: Freq::Daily,
            interval: 1,
            by_day: Vec::new(),
            count: None,
            until: None,
        }
    }
}

/// Reads one weekday item such as `MO`, `2TU` or `-1FR`.
///
/// The last two letters name the day, what comes before is the ordinal, 0 if there
/// is none. `None` if either part is unreadable.
fn parse_by_day(item: &str) -> Option<(i8, Weekday)> {
    let split = item.len().checked_sub(2)?;
    let weekday = Weekday::parse(item.get(split..)?)?;
    let ordinal = match item.get(..split)? {
        "" => 0,
        number => number.parse().ok()?,
    };
    Some((ordinal, weekday))
}

impl Rule {
    /// Parses a rule such as `FREQ=MONTHLY;BYDAY=2TU,-1FR;COUNT=6`.
    ///
    /// The keys are `FREQ`, `INTERVAL`, `BYDAY`, `COUNT` and `UNTIL`, in any
    /// order and separated by semicolons; keys not given keep their defaults
    /// (daily, interval 1). Upper and lower case are the same.
    ///
    /// # Errors
    ///
    /// Returns the first part with an unknown key, an unreadable value or an
    /// interval of zero.
    pub fn parse(text: &str) -> Result<Rule, RuleError> {
        let mut rule = Rule::default();
        for part in text.split(';').filter(|p| !p.is_empty()) {
            let fail = || RuleError {
                part: part.to_owned(),
            };
            let (key, value) = part.split_once('=').ok_or_else(fail)?;
            match key.to_ascii_uppercase().as_str() {
                "FREQ" => {
                    rule.freq = match value.to_ascii_uppercase().as_str() {
                        "DAILY" => Freq::Daily,
                        "WEEKLY" => Freq::Weekly,
                        "MONTHLY" => Freq::Monthly,
                        "YEARLY" => Freq::Yearly,
                        _ => return Err(fail()),
                    }
                }
                "INTERVAL" => {
                    rule.interval = value.parse().ok().filter(|&n| n > 0).ok_or_else(fail)?;
                }
                "BYDAY" => {
                    let days: Option<Vec<_>> = value.split(',').map(parse_by_day).collect();
                    rule.by_day = days.ok_or_else(fail)?;
                }
                "COUNT" => rule.count = Some(value.parse().map_err(|_| fail())?),
                "UNTIL" => rule.until = Some(Date::parse_iso(value).map_err(|_| fail())?),
                _ => return Err(fail()),
            }
        }
        Ok(rule)
    }

    /// Expands the rule into its dates, beginning with the first on or after
    /// `start`.
    ///
    /// Periods are counted from the one that contains `start`. The stream ends
    /// at the rule's count or final date, or after 1000 periods in a row
    /// without any date, so that impossible rules do not hang.
    pub fn occurrences(&self, start: Date) -> impl Iterator<Item = Date> + '_ {
        let until = self.until;
        (0i64..)
            .map(move |n| self.period_dates(start, n))
            .scan(0u32, |barren, dates| {
                *barren = if dates.is_empty() { *barren + 1 } else { 0 };
                (*barren < 1000).then_some(dates)
            })
            .flatten()
            .skip_while(move |&d| d < start)
            .take_while(move |&d| until.is_none_or(|last| d <= last))
            .take(self.count.unwrap_or(usize::MAX))
    }

    /// Lists the dates of the `n`-th active period, ascending.
    ///
    /// Without weekdays each period holds one date: monthly and yearly rules
    /// skip periods whose month lacks the start's day of the month, rather than
    /// moving to another day. A monthly weekday without an ordinal selects all
    /// of them.
    pub(crate) fn period_dates(&self, start: Date, n: i64) -> Vec<Date> {
        let step = n.saturating_mul(i64::from(self.interval));
        let mut dates = match self.freq {
            Freq::Daily => vec![Date::from_days(start.to_days() + step)],
            Freq::Weekly if self.by_day.is_empty() => {
                vec![Date::from_days(start.to_days() + 7 * step)]
            }
            Freq::Weekly => {
                let monday = start.to_days() - start.weekday() as i64 + 7 * step;
                self.by_day
                    .iter()
                    .map(|&(_, w)| Date::from_days(monday + w as i64))
                    .collect()
            }
            Freq::Monthly | Freq::Yearly => {
                let months = if self.freq == Freq::Yearly {
                    step * 12
                } else {
                    step
                };
                let Some(target) = start.add_months(months) else {
                    return Vec::new();
                };
                let (year, month, day) = target.parts();
                if self.by_day.is_empty() || self.freq == Freq::Yearly {
                    let kept = day == start.parts().2;
                    kept.then_some(target).into_iter().collect()
                } else {
                    self.by_day
                        .iter()
                        .flat_map(|&(nth, w)| {
                            if nth == 0 {
                                (1..=5).map(|k| (k, w)).collect()
                            } else {
                                vec![(nth, w)]
                            }
                        })
                        .filter_map(|(nth, w)| nth_weekday(year, month, w, nth))
                        .collect()
                }
            }
        };
        dates.sort_unstable();
        dates.dedup();
        dates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(rule: &str, start: &str, n: usize) -> Vec<String> {
        let rule = Rule::parse(rule).expect("valid rule");
        let start = Date::parse_iso(start).expect("valid date");
        rule.occurrences(start)
            .take(n)
            .map(|d| d.to_string())
            .collect()
    }

    #[test]
    fn weekly_by_day() {
        assert_eq!(
            expand("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR,MO", "2024-01-03", 3),
            ["2024-01-05", "2024-01-15", "2024-01-19"]
        );
    }

    #[test]
    fn month_ends_are_skipped() {
        assert_eq!(
            expand("freq=monthly", "2024-01-31", 3),
            ["2024-01-31", "2024-03-31", "2024-05-31"]
        );
        assert_eq!(
            expand("FREQ=YEARLY", "2024-02-29", 2),
            ["2024-02-29", "2028-02-29"]
        );
    }

    #[test]
    fn limits() {
        assert_eq!(
            expand("FREQ=MONTHLY;BYDAY=-1FR;UNTIL=2024-03-01", "2024-01-01", 9).len(),
            2
        );
        assert_eq!(expand("COUNT=4", "2024-01-01", 9).len(), 4);
        assert!(expand("FREQ=MONTHLY;BYDAY=6MO", "2024-01-01", 1).is_empty());
    }

    #[test]
    fn bad_parts_are_named() {
        let err = Rule::parse("FREQ=DAILY;INTERVAL=0").expect_err("zero interval");
        assert_eq!(err.part, "INTERVAL=0");
        assert!(Rule::parse("BYDAY=é").is_err());
    }
}
