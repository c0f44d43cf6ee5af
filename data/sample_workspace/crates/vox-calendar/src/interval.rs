//! Half-open intervals over any ordered type.

/// A half-open interval: the start belongs to it, the end does not.
pub type Interval<T> = (T, T);

/// Sorts intervals and joins those that overlap or touch.
///
/// Empty and backward intervals are dropped. The result is in ascending order
/// and has gaps between all of its members.
///
/// # Examples
///
/// ```
/// use vox_calendar::interval::merge_intervals;
/// assert_eq!(merge_intervals(&[(5, 7), (1, 3), (3, 4)]), [(1, 4), (5, 7)]);
/// ```
#[must_use]
pub fn merge_intervals<T>(intervals: &[Interval<T>]) -> Vec<Interval<T>>
where
    T: Ord + Copy,
{
    let mut sorted: Vec<Interval<T>> = intervals.iter().copied().filter(|(a, b)| a < b).collect();
    sorted.sort_unstable();
    let mut merged: Vec<Interval<T>> = Vec::new();
    for (start, end) in sorted {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// Finds the moment when most intervals are active at once.
///
/// Returns that depth and the earliest point at which it is reached. At a
/// shared point ends are processed before starts, since intervals exclude their
/// ends. `None` if there is no non-empty interval.
pub fn peak_overlap<T: Ord + Copy>(intervals: &[Interval<T>]) -> Option<(usize, T)> {
    let mut events: Vec<(T, bool)> = intervals
        .iter()
        .filter(|(a, b)| a < b)
        .flat_map(|&(a, b)| [(a, true), (b, false)])
        .collect();
    events.sort_unstable();
    let mut depth = 0usize;
    let mut best: Option<(usize, T)> = None;
    for (at, opens) in events {
        if opens {
            depth += 1;
            if best.is_none_or(|(d, _)| depth > d) {
                best = Some((depth, at));
            }
        } else {
            depth -= 1;
        }
    }
    best
}

/// Chooses as many pairwise disjoint intervals as possible.
///
/// The classic greedy rule is used: repeatedly take the interval that ends
/// first among those starting no earlier than the last end. The indices of the
/// chosen intervals are returned in chronological order; empty intervals are
/// never chosen.
pub fn schedule_most<T: Ord + Copy>(intervals: &[Interval<T>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..intervals.len())
        .filter(|&i| intervals[i].0 < intervals[i].1)
        .collect();
    order.sort_by_key(|&i| (intervals[i].1, intervals[i].0));
    let mut chosen = Vec::new();
    let mut free_from: Option<T> = None;
    for i in order {
        if free_from.is_none_or(|end| intervals[i].0 >= end) {
            free_from = Some(intervals[i].1);
            chosen.push(i);
        }
    }
    chosen
}

/// A set of points stored as disjoint, sorted, non-touching intervals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntervalSet<T> {
    parts: Vec<Interval<T>>,
}

impl<T> IntervalSet<T>
where
    T: Ord + Copy,
{
    /// Builds the set from any intervals, merging them first.
    pub fn from_intervals(intervals: &[Interval<T>]) -> Self {
        IntervalSet {
            parts: merge_intervals(intervals),
        }
    }

    /// The disjoint parts in ascending order.
    pub fn parts(&self) -> &[Interval<T>] {
        &self.parts
    }

    /// Adds one interval in place.
    ///
    /// Binary search finds the run of parts that overlap or touch it; they are
    /// replaced by a single part that spans them all. An empty or backward
    /// interval changes nothing.
    pub fn insert(&mut self, start: T, end: T) {
        if start >= end {
            return;
        }
        let first = self.parts.partition_point(|p| p.1 < start);
        let last = self.parts.partition_point(|p| p.0 <= end);
        let mut joined = (start, end);
        if first < last {
            joined.0 = joined.0.min(self.parts[first].0);
            joined.1 = joined.1.max(self.parts[last - 1].1);
        }
        self.parts.splice(first..last, [joined]);
    }

    /// Tells whether a point lies in the set, in logarithmic time.
    ///
    /// Only the last part that starts at or before the point can contain it.
    #[must_use]
    pub fn contains(&self, point: T) -> bool {
        let after = self.parts.partition_point(|p| p.0 <= point);
        match after.checked_sub(1) {
            Some(index) => point < self.parts[index].1,
            None => false,
        }
    }

    /// Removes another set's points from this one.
    ///
    /// Both sets are walked once, side by side. A part may vanish, shrink, or be
    /// split in several by holes of `other`; the operands are left unchanged.
    #[must_use]
    pub fn subtract(&self, other: &IntervalSet<T>) -> IntervalSet<T> {
        let mut parts = Vec::new();
        let mut holes = other.parts.iter().peekable();
        for &(mut start, end) in &self.parts {
            while holes.next_if(|h| h.1 <= start).is_some() {}
            while let Some(&&(hole_start, hole_end)) = holes.peek() {
                if hole_start >= end {
                    break;
                }
                if hole_start > start {
                    parts.push((start, hole_start));
                }
                start = start.max(hole_end);
                if hole_end > end {
                    break;
                }
                holes.next();
            }
            if start < end {
                parts.push((start, end));
            }
        }
        IntervalSet { parts }
    }

    /// Keeps the points that both sets share.
    ///
    /// Two cursors advance over the parts; the one whose part ends first moves
    /// on. Touching parts have no point in common and leave nothing behind.
    #[must_use]
    pub fn intersect(&self, other: &IntervalSet<T>) -> IntervalSet<T> {
        let (mut i, mut j) = (0, 0);
        let mut parts = Vec::new();
        while i < self.parts.len() && j < other.parts.len() {
            let (a, b) = (self.parts[i], other.parts[j]);
            let start = a.0.max(b.0);
            let end = a.1.min(b.1);
            if start < end {
                parts.push((start, end));
            }
            if a.1 < b.1 {
                i += 1;
            } else {
                j += 1;
            }
        }
        IntervalSet { parts }
    }

    /// Yields the uncovered gaps inside a window, clipped to it.
    ///
    /// A window outside all parts comes back whole; an empty window has no gaps.
    /// Gaps are produced lazily in ascending order.
    pub fn gaps(&self, start: T, end: T) -> impl Iterator<Item = Interval<T>> + '_ {
        let mut cursor = start;
        let relevant = self
            .parts
            .iter()
            .copied()
            .filter(move |p| p.1 > start && p.0 < end);
        relevant
            .chain(std::iter::once((end, end)))
            .filter_map(move |(a, b)| {
                let gap = (cursor, a.min(end));
                cursor = cursor.max(b);
                (gap.0 < gap.1).then_some(gap)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_points(set: &IntervalSet<i32>) -> Vec<i32> {
        (-5..30).filter(|&p| set.contains(p)).collect()
    }

    #[test]
    fn set_algebra_matches_points() {
        let a = IntervalSet::from_intervals(&[(0, 4), (6, 9), (12, 20)]);
        let b = IntervalSet::from_intervals(&[(2, 7), (8, 13), (15, 16), (18, 25)]);
        let minus: Vec<i32> = (-5..30)
            .filter(|&p| a.contains(p) && !b.contains(p))
            .collect();
        let both: Vec<i32> = (-5..30)
            .filter(|&p| a.contains(p) && b.contains(p))
            .collect();
        assert_eq!(as_points(&a.subtract(&b)), minus);
        assert_eq!(as_points(&a.intersect(&b)), both);
    }

    #[test]
    fn insertion_joins_neighbours() {
        let mut set = IntervalSet::from_intervals(&[(0, 2), (4, 6), (8, 10)]);
        set.insert(2, 4);
        assert_eq!(set.parts(), [(0, 6), (8, 10)]);
        set.insert(7, 7);
        set.insert(20, 21);
        assert_eq!(set.parts(), [(0, 6), (8, 10), (20, 21)]);
        assert_eq!(set.gaps(-1, 9).collect::<Vec<_>>(), [(-1, 0), (6, 8)]);
        assert_eq!(set.gaps(12, 15).collect::<Vec<_>>(), [(12, 15)]);
    }

    #[test]
    fn overlap_and_scheduling() {
        let slots = [(0, 5), (1, 3), (3, 6), (2, 4)];
        assert_eq!(peak_overlap(&slots), Some((3, 2)));
        assert_eq!(peak_overlap::<i32>(&[(3, 3)]), None);
        assert_eq!(schedule_most(&slots), [1, 2]);
    }
}
