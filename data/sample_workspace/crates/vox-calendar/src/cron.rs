//! Cron-like schedules: which minutes an entry fires in.

use crate::civil::{days_in_month, Date, Weekday};
use crate::Stamp;
use std::fmt;

/// The values that one field admits, as a bit set over 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    bits: u64,
    star: bool,
}

/// A parsed five-field entry: minute, hour, day, month, weekday.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

/// What is wrong with a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CronError {
    /// Not exactly five fields; holds their number.
    FieldCount(usize),
    /// A term that cannot be read or is out of range.
    Term(String),
}

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CronError::FieldCount(n) => write!(f, "expected five fields, found {n}"),
            CronError::Term(term) => write!(f, "bad schedule term {term:?}"),
        }
    }
}

impl std::error::Error for CronError {}

impl Field {
    /// Parses one field whose values run from `min` to `max`, at most 63.
    ///
    /// A field is a comma list of terms: `*`, a value, a range `a-b`, each with
    /// an optional step `/n`. A single value with a step runs on to `max`.
    ///
    /// # Errors
    ///
    /// [`CronError::Term`] with the first term that is malformed, out of range,
    /// backward or has a step of zero.
    pub fn parse(text: &str, min: u8, max: u8) -> Result<Field, CronError> {
        let mut bits = 0u64;
        for term in text.split(',') {
            let fail = || CronError::Term(term.to_owned());
            let number = |s: &str| s.parse::<u8>().map_err(|_| fail());
            let (span, step) = match term.split_once('/') {
                Some((span, step)) => (span, Some(number(step)?)),
                None => (term, None),
            };
            let (lo, hi) = match span.split_once('-') {
                Some((lo, hi)) => (number(lo)?, number(hi)?),
                None if span == "*" => (min, max),
                None => {
                    let only = number(span)?;
                    (only, if step.is_some() { max } else { only })
                }
            };
            let step = step.unwrap_or(1);
            if step == 0 || lo < min || hi > max.min(63) || lo > hi {
                return Err(fail());
            }
            for value in (lo..=hi).step_by(usize::from(step)) {
                bits |= 1 << value;
            }
        }
        Ok(Field {
            bits,
            star: text.starts_with('*'),
        })
    }

    /// Finds the smallest admitted value that is at least `from`.
    ///
    /// Lower bits are masked off and the lowest remaining one is taken. `None`
    /// if no admitted value is left, in particular for `from` above 63.
    #[must_use]
    pub const fn next_value(self, from: u8) -> Option<u8> {
        if from > 63 {
            return None;
        }
        let rest = self.bits >> from << from;
        if rest == 0 {
            None
        } else {
            Some(rest.trailing_zeros() as u8)
        }
    }

    fn admits(self, value: u8) -> bool {
        self.bits >> value & 1 == 1
    }
}

impl Schedule {
    /// Parses an entry such as `*/15 8-17 * * 1-5`, or one of the nicknames
    /// `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    ///
    /// Weekdays run from 0 for Sunday to 7, which is Sunday again.
    ///
    /// # Errors
    ///
    /// [`CronError::FieldCount`] unless there are five fields, otherwise the
    /// error of the first faulty field.
    pub fn parse(text: &str) -> Result<Schedule, CronError> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(CronError::FieldCount(fields.len()));
        };
        let mut weekday = Field::parse(weekday, 0, 7)?;
        if weekday.admits(7) {
            weekday.bits |= 1;
        }
        Ok(Schedule {
            minute: Field::parse(minute, 0, 59)?,
            hour: Field::parse(hour, 0, 23)?,
            day: Field::parse(day, 1, 31)?,
            month: Field::parse(month, 1, 12)?,
            weekday,
        })
    }

    /// Decides whether the schedule fires at some time of the given date.
    ///
    /// As in classic cron, a date that satisfies either the day or the weekday
    /// field is enough when both are restricted; a field that starts with `*`
    /// is not a restriction and leaves the decision to the other one.
    #[must_use]
    pub fn fires_on(&self, date: Date) -> bool {
        let (_, month, day) = date.parts();
        if !self.month.admits(month) {
            return false;
        }
        let number = match date.weekday() {
            Weekday::Sunday => 0,
            other => other as u8 + 1,
        };
        let by_day = self.day.admits(day);
        let by_weekday = self.weekday.admits(number);
        if self.day.star || self.weekday.star {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        }
    }

    /// Computes the first firing strictly after a moment.
    ///
    /// The search goes day by day, skipping whole months that the month field
    /// excludes, and then picks hour and minute from their bit sets. A schedule
    /// that cannot fire within the next 9 years, such as 30 February, gives
    /// `None`.
    pub fn next_after(&self, moment: Stamp) -> Option<Stamp> {
        let earliest = moment.div_euclid(60).checked_add(1)?;
        let mut day = earliest.div_euclid(1440);
        let mut minute_of_day = earliest.rem_euclid(1440) as u16;
        let limit = day + 9 * 366;
        while day <= limit {
            let date = Date::from_days(day);
            let (year, month, dom) = date.parts();
            if !self.month.admits(month) {
                day += i64::from(days_in_month(year, month) - dom) + 1;
                minute_of_day = 0;
                continue;
            }
            if self.fires_on(date) {
                if let Some(found) = self.next_in_day(minute_of_day) {
                    return Some((day * 1440 + i64::from(found)) * 60);
                }
            }
            day += 1;
            minute_of_day = 0;
        }
        None
    }

    /// Picks the first firing minute of a day at or after `from`.
    ///
    /// Minutes are counted from midnight. If no admitted minute is left in the
    /// starting hour, the next admitted hour is entered at its first one.
    pub(crate) fn next_in_day(&self, from: u16) -> Option<u16> {
        let start_hour = (from / 60) as u8;
        let hour = self.hour.next_value(start_hour)?;
        if hour == start_hour {
            if let Some(minute) = self.minute.next_value((from % 60) as u8) {
                return Some(u16::from(hour) * 60 + u16::from(minute));
            }
        }
        let hour = if hour == start_hour {
            self.hour.next_value(hour + 1)?
        } else {
            hour
        };
        let minute = self.minute.next_value(0)?;
        Some(u16::from(hour) * 60 + u16::from(minute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(date: &str, hour: i64, minute: i64) -> Stamp {
        let days = Date::parse_iso(date).expect("valid date").to_days();
        days * 86_400 + hour * 3_600 + minute * 60
    }

    fn next(spec: &str, from: Stamp) -> Option<Stamp> {
        Schedule::parse(spec)
            .expect("valid schedule")
            .next_after(from)
    }

    #[test]
    fn office_hours() {
        let spec = "*/15 8-17 * * 1-5";
        assert_eq!(
            next(spec, stamp("2024-03-01", 17, 45)),
            Some(stamp("2024-03-04", 8, 0))
        );
        assert_eq!(
            next(spec, stamp("2024-03-01", 9, 14) + 59),
            Some(stamp("2024-03-01", 9, 15))
        );
    }

    #[test]
    fn rare_and_impossible_dates() {
        assert_eq!(
            next("0 0 29 2 *", stamp("2024-02-29", 0, 0)),
            Some(stamp("2028-02-29", 0, 0))
        );
        assert_eq!(next("0 0 30 2 *", stamp("2024-01-01", 0, 0)), None);
        assert_eq!(
            next("@weekly", stamp("2024-03-01", 0, 0)),
            Some(stamp("2024-03-03", 0, 0))
        );
    }

    #[test]
    fn day_or_weekday() {
        let spec = Schedule::parse("5 4 13 * 5").expect("valid schedule");
        let fires = |t: &str| spec.fires_on(Date::parse_iso(t).expect("valid date"));
        assert!(fires("2024-03-13") && fires("2024-03-15") && !fires("2024-03-14"));
    }

    #[test]
    fn errors() {
        assert_eq!(Schedule::parse("* *"), Err(CronError::FieldCount(2)));
        assert_eq!(
            Schedule::parse("60 * * * *"),
            Err(CronError::Term("60".into()))
        );
        assert_eq!(
            Field::parse("5-2", 0, 59),
            Err(CronError::Term("5-2".into()))
        );
        assert_eq!(
            Field::parse("*/0", 0, 59),
            Err(CronError::Term("*/0".into()))
        );
        assert_eq!(
            Field::parse("50/4", 0, 59).map(|f| f.next_value(55)),
            Ok(Some(58))
        );
    }
}
