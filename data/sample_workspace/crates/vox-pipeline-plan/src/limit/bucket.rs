//! The token bucket.

use crate::Millis;

/// Allows bursts up to a capacity and a steady rate in the long run.
///
/// Levels are kept in thousandths of a token, so that refilling by the
/// millisecond is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    capacity: u64,
    per_second: u64,
    level: u64,
    updated: Millis,
}

impl TokenBucket {
    #[must_use]
    pub fn full(capacity: u32, per_second: u32, now: Millis) -> Self {
        TokenBucket {
            capacity: u64::from(capacity) * 1000,
            per_second: u64::from(per_second),
            level: u64::from(capacity) * 1000,
            updated: now,
        }
    }

    /// Brings the level up to date with the time `now`.
    ///
    /// One millisecond adds as many thousandths of a token as the rate has
    /// tokens per second. The level never exceeds the capacity. A clock that
    /// runs backward changes nothing, and the later time is kept.
    pub fn refill(&mut self, now: Millis) {
        let elapsed = now.saturating_sub(self.updated);
        let gained = elapsed.saturating_mul(self.per_second);
        self.level = self.level.saturating_add(gained).min(self.capacity);
        self.updated = self.updated.max(now);
    }

    /// Takes `count` tokens, or tells how long to wait for them.
    ///
    /// Success removes the tokens. Otherwise the bucket keeps its content and
    /// the error holds the shortest wait, rounded up to a millisecond, after
    /// which the same call would succeed.
    ///
    /// # Errors
    ///
    /// `Err(None)` means that no wait is long enough, since the request
    /// exceeds the capacity or the rate is zero.
    pub fn try_take(&mut self, count: u32, now: Millis) -> Result<(), Option<Millis>> {
        self.refill(now);
        let wanted = u64::from(count) * 1000;
        if wanted <= self.level {
            self.level -= wanted;
            return Ok(());
        }
        if wanted > self.capacity || self.per_second == 0 {
            return Err(None);
        }
        let missing = wanted - self.level;
        let late = self.updated.saturating_sub(now);
        Err(Some(late + missing.div_ceil(self.per_second)))
    }
}

/// Computes when a queue of requests gets through a full bucket.
///
/// `counts` are served in order, each as soon as the tokens suffice, starting
/// at time zero. The result holds the moment of each request; requests that
/// can never be served are `None` and do not hold up those behind them.
#[must_use]
pub fn drain_times(capacity: u32, per_second: u32, counts: &[u32]) -> Vec<Option<Millis>> {
    let mut bucket = TokenBucket::full(capacity, per_second, 0);
    let mut now = 0;
    let mut times = Vec::with_capacity(counts.len());
    for &count in counts {
        let served = match bucket.try_take(count, now) {
            Ok(()) => Some(now),
            Err(None) => None,
            Err(Some(wait)) => {
                now += wait;
                bucket.try_take(count, now).ok().map(|()| now)
            }
        };
        times.push(served);
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_exact() {
        let mut bucket = TokenBucket::full(2, 3, 1000);
        assert_eq!(bucket.try_take(2, 1000), Ok(()));
        assert_eq!(bucket.try_take(1, 1000), Err(Some(334)));
        assert_eq!(bucket.try_take(1, 1333), Err(Some(1)));
        assert_eq!(bucket.try_take(1, 1334), Ok(()));
        assert_eq!(bucket.try_take(3, 9000), Err(None));
    }

    #[test]
    fn clocks_may_jump_back() {
        let mut bucket = TokenBucket::full(1, 1, 500);
        assert_eq!(bucket.try_take(1, 500), Ok(()));
        assert_eq!(bucket.try_take(1, 100), Err(Some(1400)));
        assert_eq!(bucket.try_take(1, 1500), Ok(()));
    }

    #[test]
    fn queues_drain_at_the_rate() {
        assert_eq!(
            drain_times(2, 10, &[2, 1, 5, 1]),
            [Some(0), Some(100), None, Some(200)]
        );
    }
}
