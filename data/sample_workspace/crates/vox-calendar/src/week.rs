//! ISO 8601 weeks and weekday positions within months.

use crate::civil::{days_from_civil, days_in_month, Date, DateError, Weekday};

/// A week of the ISO calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IsoWeek {
    /// The week-based year, which differs from the civil one near New Year.
    pub year: i32,
    /// 1 to 52 or 53.
    pub week: u8,
}

/// Day count of the Monday that begins week 1 of an ISO year.
///
/// Week 1 is the week that contains 4 January, so the wanted Monday is the last
/// one on or before that date; it may fall in the preceding civil year.
pub(crate) const fn iso_year_start(year: i32) -> i64 {
    let fourth = days_from_civil(year, 1, 4);
    let since_monday = (fourth + 3).rem_euclid(7);
    fourth - since_monday
}

impl IsoWeek {
    /// Determines the ISO week in which a date falls.
    ///
    /// The civil year of the Thursday of the same week is the week's year; the
    /// week number counts whole weeks since that year's first Monday.
    ///
    /// # Examples
    ///
    /// ```
    /// use vox_calendar::{week::IsoWeek, Date};
    /// let date = Date::new(2021, 1, 3).unwrap();
    /// assert_eq!(IsoWeek::of(date), IsoWeek { year: 2020, week: 53 });
    /// ```
    #[must_use]
    pub fn of(date: Date) -> IsoWeek {
        let days = date.to_days();
        let thursday = days - date.weekday() as i64 + 3;
        let year = Date::from_days(thursday).parts().0;
        let week = (days - iso_year_start(year)) / 7 + 1;
        IsoWeek {
            year,
            week: week as u8,
        }
    }

    /// Picks one day of this week.
    ///
    /// # Errors
    ///
    /// [`DateError::OutOfYear`] if the week number is zero or the year has no
    /// such week; week 53 exists only in some years.
    pub fn day(self, weekday: Weekday) -> Result<Date, DateError> {
        let start = iso_year_start(self.year);
        let weeks = (iso_year_start(self.year + 1) - start) / 7;
        if self.week == 0 || i64::from(self.week) > weeks {
            return Err(DateError::OutOfYear);
        }
        let offset = i64::from(self.week - 1) * 7 + weekday as i64;
        Ok(Date::from_days(start + offset))
    }

    /// Reads a week date written as `2024-W07` or `2024-W07-3`.
    ///
    /// The day digit runs from 1 for Monday to 7; without it, Monday is meant.
    ///
    /// # Errors
    ///
    /// [`DateError::Syntax`] if the shape is wrong, [`DateError::OutOfYear`] if
    /// that week does not exist.
    pub fn parse_date(text: &str) -> Result<Date, DateError> {
        let syntax = || DateError::Syntax(text.to_owned());
        let (year, rest) = text.split_once("-W").ok_or_else(syntax)?;
        let (week, day) = rest.split_once('-').unwrap_or((rest, "1"));
        if year.len() != 4 || week.len() != 2 || day.len() != 1 {
            return Err(syntax());
        }
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if ![year, week, day].into_iter().all(digits) {
            return Err(syntax());
        }
        let weekday = match day.parse::<usize>() {
            Ok(n @ 1..=7) => Weekday::ALL[n - 1],
            _ => return Err(syntax()),
        };
        let year = year.parse().map_err(|_| syntax())?;
        let week = week.parse().map_err(|_| syntax())?;
        IsoWeek { year, week }.day(weekday)
    }
}

/// Finds the n-th given weekday of a month, counting back for negative `nth`.
///
/// `nth` 1 is the first such day, -1 the last. `None` is returned for 0, for an
/// invalid month and when the month has fewer of that weekday.
#[must_use]
pub fn nth_weekday(year: i32, month: u8, weekday: Weekday, nth: i8) -> Option<Date> {
    let last = i64::from(days_in_month(year, month));
    let first = Date::new(year, month, 1).ok()?;
    let day = if nth > 0 {
        let lead = (weekday as i64 - first.weekday() as i64).rem_euclid(7);
        1 + lead + 7 * (i64::from(nth) - 1)
    } else if nth < 0 {
        let end = Date::new(year, month, last as u8).ok()?;
        let trail = (end.weekday() as i64 - weekday as i64).rem_euclid(7);
        last - trail + 7 * (i64::from(nth) + 1)
    } else {
        return None;
    };
    (1..=last)
        .contains(&day)
        .then(|| Date::from_days(first.to_days() + day - 1))
}

/// Lays a month out as rows of seven cells, for a printed calendar.
///
/// Each row is a week that starts on `first_column`; cells outside the month
/// hold 0. The number of rows is 4, 5 or 6. An invalid month gives no rows.
pub fn month_grid(year: i32, month: u8, first_column: Weekday) -> Vec<[u8; 7]> {
    let Ok(first) = Date::new(year, month, 1) else {
        return Vec::new();
    };
    let mut column = (first.weekday() as usize + 7 - first_column as usize) % 7;
    let mut rows = vec![[0; 7]];
    for day in 1..=days_in_month(year, month) {
        if column == 7 {
            rows.push([0; 7]);
            column = 0;
        }
        if let Some(row) = rows.last_mut() {
            row[column] = day;
        }
        column += 1;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_around_new_year() {
        for days in -4000..4000 {
            let date = Date::from_days(days);
            let week = IsoWeek::of(date);
            assert_eq!(week.day(date.weekday()), Ok(date));
        }
        assert_eq!(
            IsoWeek {
                year: 2021,
                week: 53
            }
            .day(Weekday::Monday),
            Err(DateError::OutOfYear)
        );
    }

    #[test]
    fn week_dates() {
        assert_eq!(
            IsoWeek::parse_date("2024-W07-3").map(|d| d.to_string()),
            Ok("2024-02-14".into())
        );
        assert_eq!(
            IsoWeek::parse_date("2024-W01").map(|d| d.to_string()),
            Ok("2024-01-01".into())
        );
        assert!(IsoWeek::parse_date("2024-W7").is_err());
        assert!(IsoWeek::parse_date("2024-W07-8").is_err());
    }

    #[test]
    fn weekday_positions() {
        let text = |d: Option<Date>| d.map(|d| d.to_string());
        assert_eq!(
            text(nth_weekday(2024, 11, Weekday::Thursday, 4)),
            Some("2024-11-28".into())
        );
        assert_eq!(
            text(nth_weekday(2024, 5, Weekday::Monday, -1)),
            Some("2024-05-27".into())
        );
        assert_eq!(nth_weekday(2024, 5, Weekday::Monday, 5), None);
        assert_eq!(nth_weekday(2024, 5, Weekday::Monday, -5), None);
        assert_eq!(nth_weekday(2024, 13, Weekday::Monday, 1), None);
    }

    #[test]
    fn grids() {
        let grid = month_grid(2015, 2, Weekday::Sunday);
        assert_eq!(grid.len(), 4);
        let grid = month_grid(2024, 9, Weekday::Monday);
        assert_eq!((grid.len(), grid[0][6], grid[5][0]), (6, 1, 30));
    }
}
