//! Dates of the proleptic Gregorian calendar.

use std::fmt;

/// A day of the week, Monday first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A valid civil date; ordering is chronological.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: i32,
    month: u8,
    day: u8,
}

/// Why a date was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DateError {
    /// The month is not 1 to 12.
    Month(u8),
    /// The month has no such day.
    Day(u8),
    /// The year has no such week, weekday or day number.
    OutOfYear,
    /// The text does not have the expected shape.
    Syntax(String),
}

impl fmt::Display for DateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DateError::Month(m) => write!(f, "no month {m}"),
            DateError::Day(d) => write!(f, "no day {d} in that month"),
            DateError::OutOfYear => f.write_str("not within that year"),
            DateError::Syntax(text) => write!(f, "cannot read {text:?} as a date"),
        }
    }
}

impl std::error::Error for DateError {}

/// Gives the number of days in a month, leap years included.
///
/// A year is leap if it divides by 4 but not by 100, or divides by 400. Month
/// numbers outside 1 to 12 give 0, which callers use as a validity test.
#[must_use]
pub const fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Counts the days from 1970-01-01 to a civil date, negative before it.
///
/// The year is taken to start in March, so that the leap day is its last, and
/// days are counted in whole 400-year eras of 146097 days. The date must be
/// valid; nothing is checked.
#[must_use]
pub const fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let shifted = year as i64 - (month <= 2) as i64;
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_from_march = (month as i64 + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i64 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Turns a day count relative to 1970-01-01 back into year, month and day.
///
/// This is the exact inverse of [`days_from_civil`] for every count whose year
/// fits an `i32`; outside that range the year wraps.
#[must_use]
pub const fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u8;
    let month = (if mp < 10 { mp + 3 } else { mp - 9 }) as u8;
    let year = yoe + era * 400 + (month <= 2) as i64;
    (year as i32, month, day)
}

impl Weekday {
    /// All weekdays, Monday first.
    pub const ALL: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];

    /// Reads an English weekday name or an abbreviation of it.
    ///
    /// Case is ignored. Two letters are enough to be unambiguous; longer input
    /// must be a prefix of the full name, so `thurs` is read and `thx` is not.
    pub fn parse(text: &str) -> Option<Weekday> {
        const NAMES: [&str; 7] = [
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
            "sunday",
        ];
        let lower = text.trim().to_ascii_lowercase();
        if lower.len() < 2 {
            return None;
        }
        let index = NAMES.iter().position(|name| name.starts_with(&lower))?;
        Some(Weekday::ALL[index])
    }
}

impl Date {
    /// Checks the parts of a date and puts them together.
    ///
    /// # Errors
    ///
    /// [`DateError::Month`] if the month is not 1 to 12, otherwise
    /// [`DateError::Day`] if the day is zero or past the end of that month.
    pub const fn new(year: i32, month: u8, day: u8) -> Result<Date, DateError> {
        let last = days_in_month(year, month);
        if last == 0 {
            return Err(DateError::Month(month));
        }
        if day == 0 || day > last {
            return Err(DateError::Day(day));
        }
        Ok(Date { year, month, day })
    }

    /// The date that lies `days` days after 1970-01-01.
    pub const fn from_days(days: i64) -> Date {
        let (year, month, day) = civil_from_days(days);
        Date { year, month, day }
    }

    /// The number of days since 1970-01-01.
    pub const fn to_days(self) -> i64 {
        days_from_civil(self.year, self.month, self.day)
    }

    /// Year, month and day.
    pub const fn parts(self) -> (i32, u8, u8) {
        (self.year, self.month, self.day)
    }

    /// Parses an ISO 8601 calendar or ordinal date.
    ///
    /// Accepted are `YYYY-MM-DD`, `YYYYMMDD` and `YYYY-DDD`, each with an
    /// optional sign in front of the year. Every field must have its full
    /// number of ASCII digits and nothing may surround the date.
    ///
    /// # Errors
    ///
    /// [`DateError::Syntax`] for any other shape, or the range errors of
    /// [`Date::new`] and [`Date::from_ordinal`].
    pub fn parse_iso(text: &str) -> Result<Date, DateError> {
        let syntax = || DateError::Syntax(text.to_owned());
        let (sign, body) = match text.as_bytes().first() {
            Some(b'-') => (-1, &text[1..]),
            Some(b'+') => (1, &text[1..]),
            _ => (1, text),
        };
        let number = |digits: &str| -> Result<i32, DateError> {
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(syntax());
            }
            digits.parse().map_err(|_| syntax())
        };
        if !body.is_ascii() {
            return Err(syntax());
        }
        let dash = |at: usize| body.as_bytes().get(at) == Some(&b'-');
        let (month, day) = match body.len() {
            10 if dash(4) && dash(7) => (&body[5..7], &body[8..]),
            8 if dash(4) => {
                let ordinal = number(&body[5..])? as u16;
                return Date::from_ordinal(sign * number(&body[..4])?, ordinal);
            }
            8 => (&body[4..6], &body[6..]),
            _ => return Err(syntax()),
        };
        let year = sign * number(&body[..4])?;
        Date::new(year, number(month)? as u8, number(day)? as u8)
    }

    /// Finds the date with a given day number within a year, 1 being 1 January.
    ///
    /// # Errors
    ///
    /// [`DateError::OutOfYear`] for 0 and for numbers past 365 or, in a leap
    /// year, 366.
    pub fn from_ordinal(year: i32, ordinal: u16) -> Result<Date, DateError> {
        let mut rest = ordinal;
        for month in 1..=12 {
            let len = u16::from(days_in_month(year, month));
            if (1..=len).contains(&rest) {
                return Date::new(year, month, rest as u8);
            }
            rest = rest.checked_sub(len).ok_or(DateError::OutOfYear)?;
        }
        Err(DateError::OutOfYear)
    }

    /// Tells the day of the week.
    ///
    /// Day zero of the count, 1970-01-01, was a Thursday; the remainder modulo
    /// seven is taken so that dates before it work as well.
    #[must_use]
    pub const fn weekday(self) -> Weekday {
        match (self.to_days() + 3).rem_euclid(7) {
            0 => Weekday::Monday,
            1 => Weekday::Tuesday,
            2 => Weekday::Wednesday,
            3 => Weekday::Thursday,
            4 => Weekday::Friday,
            5 => Weekday::Saturday,
            _ => Weekday::Sunday,
        }
    }

    /// Moves by whole months, pulling the day back to the month's last if needed.
    ///
    /// 31 January plus one month is 28 or 29 February, so adding and then
    /// subtracting does not always return to the start. Negative counts move
    /// back; `None` is returned when the year leaves the range of `i32`.
    #[must_use]
    pub fn add_months(self, months: i64) -> Option<Date> {
        let index = i64::from(self.year)
            .checked_mul(12)?
            .checked_add(i64::from(self.month) - 1)?
            .checked_add(months)?;
        let year = i32::try_from(index.div_euclid(12)).ok()?;
        let month = (index.rem_euclid(12) + 1) as u8;
        let day = self.day.min(days_in_month(year, month));
        Some(Date { year, month, day })
    }

    /// Splits the way from `self` to `later` into whole months and extra days.
    ///
    /// The months are as many as [`Date::add_months`] can add without passing
    /// `later`; the days lead from there to the goal. If `later` comes first,
    /// both parts are those of the swapped pair with their signs turned.
    pub fn months_and_days_until(self, later: Date) -> (i64, i64) {
        if later < self {
            let (months, days) = later.months_and_days_until(self);
            return (-months, -days);
        }
        let mut months = (i64::from(later.year) - i64::from(self.year)) * 12
            + i64::from(later.month)
            - i64::from(self.month);
        let mut anchor = self.add_months(months).unwrap_or(self);
        if anchor > later {
            months -= 1;
            anchor = self.add_months(months).unwrap_or(self);
        }
        (months, later.to_days() - anchor.to_days())
    }

    /// Computes the date of Western Easter Sunday for a year.
    ///
    /// The anonymous Gregorian computus is followed: golden number, century
    /// corrections, epact, then the Sunday after the paschal full moon. Years
    /// before 1583 yield the date the Gregorian rules would have given.
    pub fn easter(year: i32) -> Date {
        let a = year.rem_euclid(19);
        let century = year.div_euclid(100);
        let c = year.rem_euclid(100);
        let d = century.div_euclid(4);
        let e = century.rem_euclid(4);
        let f = (century + 8).div_euclid(25);
        let g = (century - f + 1).div_euclid(3);
        let h = (19 * a + century - d - g + 15).rem_euclid(30);
        let i = c / 4;
        let k = c % 4;
        let l = (32 + 2 * e + 2 * i - h - k).rem_euclid(7);
        let m = (a + 11 * h + 22 * l) / 451;
        let sum = h + l - 7 * m + 114;
        Date {
            year,
            month: (sum / 31) as u8,
            day: (sum % 31 + 1) as u8,
        }
    }

    /// Renders the date by a pattern in the manner of `strftime`.
    ///
    /// Known are `%Y` (four digits at least), `%m`, `%d`, `%j` (day of the
    /// year, three digits), `%u` (weekday, Monday is 1), `%F` (same as
    /// `%Y-%m-%d`) and `%%`. An unknown letter is copied together with its
    /// percent sign, and so is a percent sign at the very end.
    pub fn format(self, pattern: &str) -> String {
        let mut out = String::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('Y') => out.push_str(&format!("{:04}", self.year)),
                Some('m') => out.push_str(&format!("{:02}", self.month)),
                Some('d') => out.push_str(&format!("{:02}", self.day)),
                Some('j') => {
                    let first = days_from_civil(self.year, 1, 1);
                    out.push_str(&format!("{:03}", self.to_days() - first + 1));
                }
                Some('u') => out.push_str(&(self.weekday() as u8 + 1).to_string()),
                Some('F') => out.push_str(&self.to_string()),
                Some('%') => out.push('%'),
                Some(other) => out.extend(['%', other]),
                None => out.push('%'),
            }
        }
        out
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        Date::parse_iso(text).expect("valid date")
    }

    #[test]
    fn day_counts_invert() {
        for days in (-800_000..800_000).step_by(97) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
        assert_eq!(date("2000-03-01").to_days(), 11_017);
    }

    #[test]
    fn parsing() {
        assert_eq!(date("20240229"), date("2024-060"));
        assert_eq!(Date::parse_iso("2023-02-29"), Err(DateError::Day(29)));
        assert_eq!(Date::parse_iso("2023-366"), Err(DateError::OutOfYear));
        assert!(matches!(
            Date::parse_iso("2023-2-09"),
            Err(DateError::Syntax(_))
        ));
        assert!(matches!(
            Date::parse_iso("+2-3-1-1é"),
            Err(DateError::Syntax(_))
        ));
    }

    #[test]
    fn months() {
        assert_eq!(date("2024-01-31").add_months(1), Some(date("2024-02-29")));
        assert_eq!(date("2024-01-31").add_months(-2), Some(date("2023-11-30")));
        assert_eq!(
            date("2024-01-31").months_and_days_until(date("2024-03-01")),
            (1, 1)
        );
        assert_eq!(
            date("2024-03-01").months_and_days_until(date("2024-01-31")),
            (-1, -1)
        );
    }

    #[test]
    fn weekdays_and_easter() {
        assert_eq!(date("2024-02-29").weekday(), Weekday::Thursday);
        assert_eq!(Weekday::parse("thurs"), Some(Weekday::Thursday));
        assert_eq!(Weekday::parse("t"), None);
        for text in ["2024-03-31", "2000-04-23", "1961-04-02", "2038-04-25"] {
            assert_eq!(Date::easter(date(text).parts().0), date(text));
        }
    }

    #[test]
    fn patterns() {
        assert_eq!(
            date("2024-03-05").format("%d.%m.%Y %j/%u %F %q 5%%"),
            "05.03.2024 065/2 2024-03-05 %q 5%"
        );
    }
}
