//! Keeping callers within bounds.

/// Limits a rate while allowing short bursts. Times are milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenBucket {
    capacity: f64,
    per_ms: f64,
    level: f64,
    updated: u64,
}

impl TokenBucket {
    /// Makes a full bucket that refills at `per_second` tokens.
    pub fn new(capacity: u32, per_second: u32, now: u64) -> Self {
        TokenBucket {
            capacity: f64::from(capacity),
            per_ms: f64::from(per_second) / 1000.0,
            level: f64::from(capacity),
            updated: now,
        }
    }

    /// Tries to take tokens out of the bucket.
    ///
    /// First the level rises by the time passed since the last call, up to the
    /// capacity; a clock that went backward adds nothing. On success the tokens
    /// are gone.
    ///
    /// # Errors
    ///
    /// The milliseconds to wait until the request could succeed, or `None` if it
    /// never can: more tokens than the capacity, or no refill.
    pub fn take(&mut self, tokens: u32, now: u64) -> Result<(), Option<u64>> {
        let elapsed = now.saturating_sub(self.updated);
        self.level = (self.level + elapsed as f64 * self.per_ms).min(self.capacity);
        self.updated = self.updated.max(now);
        let wanted = f64::from(tokens);
        if wanted <= self.level {
            self.level -= wanted;
            return Ok(());
        }
        if wanted > self.capacity || self.per_ms <= 0.0 {
            return Err(None);
        }
        Err(Some(((wanted - self.level) / self.per_ms).ceil() as u64))
    }
}

/// Chooses the order in which queued calls are started so that callers share
/// fairly.
///
/// Each call is `(caller, cost)`. Callers are served in turn by deficit round
/// robin: on its turn a caller's credit grows by `quantum` (at least one) and it
/// starts calls, oldest first, as long as the credit covers their cost. A caller
/// without waiting calls loses its credit. Returns the indices of the calls.
pub fn in_flight_order(calls: &[(&str, u32)], quantum: u32) -> Vec<usize> {
    let mut callers: Vec<(&str, u64, std::collections::VecDeque<usize>)> = Vec::new();
    for (index, (caller, _)) in calls.iter().enumerate() {
        match callers.iter_mut().find(|(name, _, _)| name == caller) {
            Some((_, _, queue)) => queue.push_back(index),
            None => callers.push((caller, 0, [index].into())),
        }
    }
    let mut order = Vec::with_capacity(calls.len());
    while order.len() < calls.len() {
        for (_, credit, queue) in &mut callers {
            *credit += u64::from(quantum.max(1));
            while let Some(&index) = queue.front() {
                let cost = u64::from(calls[index].1);
                if cost > *credit {
                    break;
                }
                *credit -= cost;
                queue.pop_front();
                order.push(index);
            }
        }
        callers.retain(|(_, _, queue)| !queue.is_empty());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refilling() {
        let mut bucket = TokenBucket::new(4, 2, 1_000);
        assert_eq!(bucket.take(4, 1_000), Ok(()));
        assert_eq!(bucket.take(1, 1_000), Err(Some(500)));
        assert_eq!(bucket.take(1, 500), Err(Some(500)));
        assert_eq!(bucket.take(1, 1_500), Ok(()));
        assert_eq!(bucket.take(5, 9_000), Err(None));
        assert_eq!(bucket.take(4, 9_000), Ok(()));
    }

    #[test]
    fn big_calls_wait_for_credit() {
        let calls = [("a", 3), ("a", 1), ("b", 1), ("b", 1), ("b", 1)];
        assert_eq!(in_flight_order(&calls, 1), [2, 3, 0, 4, 1]);
        assert!(in_flight_order(&[], 5).is_empty());
    }
}
