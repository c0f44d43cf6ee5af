//! The sliding window limit.

use std::collections::VecDeque;

use crate::Millis;

/// Admits at most a number of events within any window of fixed length.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    limit: usize,
    length: Millis,
    events: VecDeque<Millis>,
}

impl SlidingWindow {
    #[must_use]
    pub fn new(limit: usize, length: Millis) -> Self {
        SlidingWindow {
            limit,
            length,
            events: VecDeque::with_capacity(limit),
        }
    }

    /// Records an event if the limit permits it.
    ///
    /// Events older than the window are forgotten first; an event leaves the
    /// window exactly `length` after it happened. If there is no room, the
    /// moment at which the next event could be admitted is returned.
    ///
    /// # Errors
    ///
    /// The earliest permitted time, or `Millis::MAX` for a limit of zero.
    /// Times must not decrease from call to call.
    pub fn admit(&mut self, now: Millis) -> Result<(), Millis> {
        while let Some(&oldest) = self.events.front() {
            if oldest.saturating_add(self.length) > now {
                break;
            }
            self.events.pop_front();
        }
        if self.events.len() < self.limit {
            self.events.push_back(now);
            return Ok(());
        }
        match self.events.front() {
            Some(&oldest) => Err(oldest.saturating_add(self.length)),
            None => Err(Millis::MAX),
        }
    }
}

/// Finds the busiest window in a log of event times.
///
/// Returns the start of the first window of `length` that holds the most
/// events, and their number; windows start at an event and exclude their end.
/// The log must be sorted. No events give `None`, and a length of zero counts
/// as one.
#[must_use]
pub fn busiest_window(log: &[Millis], length: Millis) -> Option<(Millis, usize)> {
    let length = length.max(1);
    let mut best: Option<(Millis, usize)> = None;
    let mut end = 0;
    for (start, &from) in log.iter().enumerate() {
        while end < log.len() && log[end].saturating_sub(from) < length {
            end += 1;
        }
        let count = end - start;
        if best.is_none_or(|(_, most)| count > most) {
            best = Some((from, count));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides() {
        let mut window = SlidingWindow::new(2, 100);
        assert_eq!(window.admit(0), Ok(()));
        assert_eq!(window.admit(40), Ok(()));
        assert_eq!(window.admit(99), Err(100));
        assert_eq!(window.admit(100), Ok(()));
        assert_eq!(window.admit(120), Err(140));
        assert_eq!(SlidingWindow::new(0, 5).admit(1), Err(Millis::MAX));
    }

    #[test]
    fn the_busiest_window_is_the_first_best() {
        let log = [0, 10, 15, 50, 52, 58, 90];
        assert_eq!(busiest_window(&log, 10), Some((50, 3)));
        assert_eq!(busiest_window(&log, 1), Some((0, 1)));
        assert_eq!(busiest_window(&[], 10), None);
    }
}
