//! Plans a small release calendar with several parts of the crate.

use vox_calendar::business::{Convention, HolidayCalendar, WorkCalendar};
use vox_calendar::recur::{merge_streams, Rule};
use vox_calendar::span::now_stamp;
use vox_calendar::{Date, IntervalSet, Weekday};

fn date(text: &str) -> Date {
    Date::parse_iso(text).expect("valid date")
}

#[test]
fn releases_fall_on_working_days() {
    let mut office = HolidayCalendar::with_weekend(&[Weekday::Saturday, Weekday::Sunday]);
    office.observe(date("2024-05-01"));
    let rule = Rule::parse("FREQ=MONTHLY;COUNT=4").expect("valid rule");
    let due: Vec<String> = rule
        .occurrences(date("2024-03-01"))
        .filter_map(|d| office.adjust(d, Convention::Following))
        .map(|d| d.to_string())
        .collect();
    assert_eq!(
        due,
        ["2024-03-01", "2024-04-01", "2024-05-02", "2024-06-03"]
    );
}

#[test]
fn two_rules_in_one_stream() {
    let weekly = Rule::parse("FREQ=WEEKLY").expect("valid rule");
    let daily = Rule::parse("INTERVAL=14").expect("valid rule");
    let start = date("2024-01-01");
    let all: Vec<Date> = merge_streams(vec![weekly.occurrences(start), daily.occurrences(start)])
        .take(3)
        .collect();
    assert_eq!(
        all,
        [date("2024-01-01"), date("2024-01-08"), date("2024-01-15")]
    );
}

#[test]
fn free_dates() {
    let busy = IntervalSet::from_intervals(&[(date("2024-01-02"), date("2024-01-05"))]);
    let free: Vec<_> = busy.gaps(date("2024-01-01"), date("2024-01-07")).collect();
    assert_eq!(free.len(), 2);
    assert!(now_stamp() > 0);
}
