//! Retry schedules.

use crate::Millis;

/// What went wrong in an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Worth another try, perhaps after a delay the peer asked for.
    Transient(Option<Millis>),
    /// Another try cannot help.
    Permanent,
}

/// A rule that assigns a waiting time to each retry.
pub trait Schedule {
    /// Waiting time before retry number `retry` (from 0), or `None` to stop.
    fn delay(&self, retry: u32) -> Option<Millis>;

    /// Adds up all waiting times, as the worst case for a deadline.
    ///
    /// Stops at the first `None`. The sum saturates, and at most `limit`
    /// retries are looked at, so that unbounded schedules end too.
    fn total_wait(&self, limit: u32) -> Millis {
        let mut total: Millis = 0;
        for retry in 0..limit {
            match self.delay(retry) {
                Some(wait) => total = total.saturating_add(wait),
                None => break,
            }
        }
        total
    }

    /// Decides what to do after a failed attempt.
    ///
    /// `retry` counts the retries made so far and `remaining` is the time left
    /// until the deadline. A delay requested by the peer replaces a shorter
    /// one of the schedule. `None` means to give up: the failure is permanent,
    /// the schedule is exhausted, or the wait would reach the deadline.
    fn next_wait(&self, failure: Failure, retry: u32, remaining: Millis) -> Option<Millis> {
        let Failure::Transient(requested) = failure else {
            return None;
        };
        let own = self.delay(retry)?;
        let wait = own.max(requested.unwrap_or(0));
        if wait < remaining {
            Some(wait)
        } else {
            None
        }
    }
}

/// Exponential growth with a ceiling and reproducible jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Delay before the first retry.
    pub first: Millis,
    /// Growth per retry in percent; 200 doubles.
    pub growth_percent: u32,
    /// No delay is longer than this.
    pub ceiling: Millis,
    /// Number of retries.
    pub retries: u32,
    /// Seed of the jitter; zero switches it off.
    pub seed: u64,
}

/// Scrambles a 64-bit number so that similar inputs give unrelated outputs.
///
/// Three steps of shift and exclusive or, with a multiplication by an odd
/// constant between each two. Every step can be undone, so no two inputs share
/// an output; zero is mapped to itself.
#[must_use]
pub const fn scramble(mut state: u64) -> u64 {
    state ^= state >> 33;
    state = state.wrapping_mul(0x8F1B_3C5D_72A9_E64B);
    state ^= state >> 29;
    state = state.wrapping_mul(0xC3A5_97E1_4D2B_6F09);
    state ^= state >> 32;
    state
}

impl Schedule for Backoff {
    /// Grows the first delay once per retry and then applies the jitter.
    ///
    /// Growth is computed in integers and stops early at the ceiling. With a
    /// seed, the delay is drawn from the upper half of the interval, from the
    /// seed and the retry number alone: the same schedule always gives the
    /// same delays.
    fn delay(&self, retry: u32) -> Option<Millis> {
        if retry >= self.retries {
            return None;
        }
        let mut wait = self.first.min(self.ceiling);
        for _ in 0..retry {
            let grown = wait.saturating_mul(u64::from(self.growth_percent)) / 100;
            if grown == wait || grown >= self.ceiling {
                wait = grown.min(self.ceiling);
                break;
            }
            wait = grown;
        }
        if self.seed == 0 {
            return Some(wait);
        }
        let half = wait / 2;
        let draw = scramble(self.seed ^ u64::from(retry).rotate_left(32));
        Some(wait - half + draw % (half + 1))
    }
}

/// Yields the moments at which attempts start, the first at zero.
///
/// Each attempt is assumed to take `attempt` milliseconds before it fails; the
/// schedule's delay follows. The iterator ends with the schedule, or before a
/// moment that would lie at or after `deadline`.
pub fn attempt_times<S>(
    schedule: &S,
    attempt: Millis,
    deadline: Millis,
) -> impl Iterator<Item = Millis> + '_
where
    S: Schedule,
{
    let mut retry = 0;
    let mut next = Some(0).filter(|start| *start < deadline);
    std::iter::from_fn(move || {
        let start = next?;
        next = schedule
            .delay(retry)
            .and_then(|wait| start.checked_add(attempt)?.checked_add(wait))
            .filter(|moment| *moment < deadline);
        retry += 1;
        Some(start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Backoff = Backoff {
        first: 100,
        growth_percent: 200,
        ceiling: 500,
        retries: 5,
        seed: 0,
    };

    #[test]
    fn delays_double_up_to_the_ceiling() {
        let delays: Vec<Option<Millis>> = (0..6).map(|retry| PLAIN.delay(retry)).collect();
        assert_eq!(
            delays,
            [Some(100), Some(200), Some(400), Some(500), Some(500), None]
        );
        assert_eq!(PLAIN.total_wait(u32::MAX), 1700);
    }

    #[test]
    fn jitter_is_reproducible_and_bounded() {
        let jittered = Backoff { seed: 7, ..PLAIN };
        for retry in 0..5 {
            let wait = jittered.delay(retry).unwrap();
            let full = PLAIN.delay(retry).unwrap();
            assert!(wait >= full / 2 && wait <= full);
            assert_eq!(jittered.delay(retry), Some(wait));
        }
    }

    #[test]
    fn decisions_respect_deadline_and_peer() {
        let transient = Failure::Transient(Some(150));
        assert_eq!(PLAIN.next_wait(transient, 0, 1000), Some(150));
        assert_eq!(PLAIN.next_wait(transient, 2, 1000), Some(400));
        assert_eq!(PLAIN.next_wait(transient, 2, 400), None);
        assert_eq!(PLAIN.next_wait(Failure::Permanent, 0, 1000), None);
    }

    #[test]
    fn attempts_end_before_the_deadline() {
        let times: Vec<Millis> = attempt_times(&PLAIN, 10, 800).collect();
        assert_eq!(times, [0, 110, 320, 730]);
        assert_eq!(attempt_times(&PLAIN, 10, 0).count(), 0);
    }
}
