//! Working days.

use crate::civil::{Date, Weekday};
use std::collections::BTreeSet;

/// What to do with a due date that is not a working day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// Take the next working day.
    Following,
    /// Take the previous working day.
    Preceding,
    /// Take the next one unless it lies in another month, else the previous.
    ModifiedFollowing,
    /// Take whichever is nearer, the next one on a tie.
    Nearest,
}

/// Knows which days are worked. Implementors must have some working day in
/// every span of 400 days, or the default methods may give up.
pub trait WorkCalendar {
    /// Whether the date is a working day.
    fn is_working(&self, date: Date) -> bool;

    /// Steps to the first working day at or beyond `date` in one direction.
    ///
    /// `forward` chooses the direction. The date itself is returned if it is
    /// worked. After 400 fruitless days the search stops with `None`.
    fn roll(&self, date: Date, forward: bool) -> Option<Date> {
        let sign = if forward { 1 } else { -1 };
        (0..400)
            .map(|k| Date::from_days(date.to_days() + sign * k))
            .find(|&d| self.is_working(d))
    }

    /// Applies a convention to a due date.
    ///
    /// Working days are left alone. The result is `None` only if the needed
    /// search in one direction finds no working day.
    fn adjust(&self, date: Date, convention: Convention) -> Option<Date> {
        match convention {
            Convention::Following => self.roll(date, true),
            Convention::Preceding => self.roll(date, false),
            Convention::ModifiedFollowing => {
                let next = self.roll(date, true)?;
                if next.parts().1 == date.parts().1 {
                    Some(next)
                } else {
                    self.roll(date, false)
                }
            }
            Convention::Nearest => {
                let next = self.roll(date, true)?;
                let prev = self.roll(date, false)?;
                let ahead = next.to_days() - date.to_days();
                let back = date.to_days() - prev.to_days();
                Some(if ahead <= back { next } else { prev })
            }
        }
    }

    /// Moves by a number of working days, backward if negative.
    ///
    /// The start need not be worked: its neighbour in the chosen direction then
    /// counts as one step. Zero moves nothing. `None` if the calendar runs out
    /// of working days.
    fn shift(&self, date: Date, days: i32) -> Option<Date> {
        let step = i64::from(days.signum());
        let mut at = date;
        for _ in 0..days.unsigned_abs() {
            let neighbour = Date::from_days(at.to_days() + step);
            at = self.roll(neighbour, step > 0)?;
        }
        Some(at)
    }

    /// Counts the working days from `start` up to but without `end`.
    ///
    /// A backward range is counted the other way round and given a negative
    /// sign, so that swapping the arguments always negates the result.
    fn count_working(&self, start: Date, end: Date) -> i64 {
        let (lo, hi, sign) = if start <= end {
            (start, end, 1)
        } else {
            (end, start, -1)
        };
        let worked = (lo.to_days()..hi.to_days())
            .filter(|&d| self.is_working(Date::from_days(d)))
            .count();
        sign * worked as i64
    }
}

/// A weekly pattern with exceptions.
#[derive(Debug, Clone, Default)]
pub struct HolidayCalendar {
    weekend: Vec<Weekday>,
    holidays: BTreeSet<Date>,
}

impl WorkCalendar for HolidayCalendar {
    fn is_working(&self, date: Date) -> bool {
        !self.weekend.contains(&date.weekday()) && !self.holidays.contains(&date)
    }
}

impl HolidayCalendar {
    /// Starts with the given days off in every week and no holidays.
    pub fn with_weekend(weekend: &[Weekday]) -> Self {
        HolidayCalendar {
            weekend: weekend.to_vec(),
            holidays: BTreeSet::new(),
        }
    }

    /// Adds a holiday that is observed on a working day.
    ///
    /// If the date is already off, the holiday is kept on the nearest working
    /// day at most three days away, an earlier one on a tie, as when a Saturday
    /// holiday is observed on Friday. Returns the observed date; when there is
    /// none, the date itself is stored and returned.
    pub fn observe(&mut self, date: Date) -> Date {
        let observed = [0i64, -1, 1, -2, 2, -3, 3]
            .into_iter()
            .map(|offset| Date::from_days(date.to_days() + offset))
            .find(|&d| self.is_working(d))
            .unwrap_or(date);
        self.holidays.insert(observed);
        observed
    }

    /// Adds the days around Easter that fall `offsets` days from it.
    ///
    /// Every year of the inclusive range is covered; offset -2 is Good Friday
    /// and 39 Ascension Day. Returns how many dates were new. An inverted range
    /// adds nothing.
    pub fn add_easter_days(
        &mut self,
        years: std::ops::RangeInclusive<i32>,
        offsets: &[i64],
    ) -> usize {
        let mut fresh = 0;
        for year in years {
            let easter = Date::easter(year).to_days();
            for &offset in offsets {
                if self.holidays.insert(Date::from_days(easter + offset)) {
                    fresh += 1;
                }
            }
        }
        fresh
    }

    /// Lists the free stretches of at least `min_days` that start in a range.
    ///
    /// A stretch is a maximal run of days that are not worked; it is reported
    /// with its first day and its length. Stretches that begin before `start`
    /// are left out, and the last one may run past `end` by at most 30 days.
    pub fn long_breaks(&self, start: Date, end: Date, min_days: i64) -> Vec<(Date, i64)> {
        let mut breaks = Vec::new();
        let mut day = start.to_days();
        while day <= end.to_days() {
            let free = |d: i64| !self.is_working(Date::from_days(d));
            if !free(day) || free(day - 1) {
                day += 1;
                continue;
            }
            let cap = end.to_days() + 30;
            let stop = (day..=cap).find(|&d| !free(d)).unwrap_or(cap + 1);
            if stop - day >= min_days {
                breaks.push((Date::from_days(day), stop - day));
            }
            day = stop;
        }
        breaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        Date::parse_iso(text).expect("valid date")
    }

    fn office() -> HolidayCalendar {
        HolidayCalendar::with_weekend(&[Weekday::Saturday, Weekday::Sunday])
    }

    #[test]
    fn conventions() {
        let cal = office();
        let saturday = date("2024-08-31");
        assert_eq!(
            cal.adjust(saturday, Convention::Following),
            Some(date("2024-09-02"))
        );
        assert_eq!(
            cal.adjust(saturday, Convention::ModifiedFollowing),
            Some(date("2024-08-30"))
        );
        assert_eq!(
            cal.adjust(saturday, Convention::Nearest),
            Some(date("2024-08-30"))
        );
        let all_off = HolidayCalendar::with_weekend(&Weekday::ALL);
        assert_eq!(all_off.adjust(saturday, Convention::Preceding), None);
    }

    #[test]
    fn shifting_and_counting_agree() {
        let cal = office();
        let start = date("2024-01-01");
        for n in 0..40 {
            let end = cal.shift(start, n).expect("in range");
            assert_eq!(cal.count_working(start, end), i64::from(n));
            assert_eq!(cal.count_working(end, start), -i64::from(n));
        }
        assert_eq!(cal.shift(date("2024-01-06"), -1), Some(date("2024-01-05")));
    }

    #[test]
    fn observed_holidays_and_breaks() {
        let mut cal = office();
        assert_eq!(cal.observe(date("2021-12-25")), date("2021-12-24"));
        assert_eq!(cal.add_easter_days(2024..=2024, &[-2, 1]), 2);
        let breaks = cal.long_breaks(date("2024-03-01"), date("2024-04-30"), 3);
        assert_eq!(breaks, [(date("2024-03-29"), 4)]);
    }
}
