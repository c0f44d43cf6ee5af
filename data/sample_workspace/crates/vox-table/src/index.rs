//! A sorted index over one column.

use std::ops::Bound;

use crate::table::{Table, TableError};
use crate::value::Value;

/// Row numbers ordered by the value of one column.
#[derive(Clone, Debug)]
pub struct SortedIndex {
    entries: Vec<(Value, usize)>,
}

impl SortedIndex {
    /// Indexes a column, leaving out rows where it is null.
    ///
    /// Entries with equal values keep the row order of the table.
    ///
    /// # Errors
    ///
    /// Fails if the table has no such column.
    pub fn build(table: &Table, column: &str) -> Result<SortedIndex, TableError> {
        let at = table.positions(&[column])?[0];
        let mut entries: Vec<(Value, usize)> = table
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row[at] != Value::Null)
            .map(|(number, row)| (row[at].clone(), number))
            .collect();
        entries.sort();
        Ok(SortedIndex { entries })
    }

    /// Lists the rows whose value lies between two bounds, in value order.
    ///
    /// Both ends are located by binary search. Bounds that exclude each other
    /// give an empty iterator rather than a panic.
    pub fn range<'a>(
        &'a self,
        low: Bound<&Value>,
        high: Bound<&Value>,
    ) -> impl Iterator<Item = usize> + 'a {
        let start = match low {
            Bound::Unbounded => 0,
            Bound::Included(value) => self.entries.partition_point(|(key, _)| key < value),
            Bound::Excluded(value) => self.entries.partition_point(|(key, _)| key <= value),
        };
        let end = match high {
            Bound::Unbounded => self.entries.len(),
            Bound::Included(value) => self.entries.partition_point(|(key, _)| key <= value),
            Bound::Excluded(value) => self.entries.partition_point(|(key, _)| key < value),
        };
        self.entries[start..end.max(start)]
            .iter()
            .map(|(_, row)| *row)
    }

    /// Finds the row whose number is closest to `target`.
    ///
    /// Only numeric entries take part. The neighbours on both sides of the
    /// insertion point are compared, and the smaller value wins a tie. An
    /// index without numbers, or a target that is not finite, gives `None`.
    #[must_use]
    pub fn nearest(&self, target: f64) -> Option<usize> {
        if !target.is_finite() {
            return None;
        }
        let probe = Value::Real(target);
        let at = self.entries.partition_point(|(key, _)| *key < probe);
        let distance = |entry: &(Value, usize)| match entry.0 {
            Value::Int(_) | Value::Real(_) => {
                entry.0.as_number().map(|number| (number - target).abs())
            }
            _ => None,
        };
        let before = at.checked_sub(1).map(|left| &self.entries[left]);
        let candidates = before.into_iter().chain(self.entries.get(at));
        let mut best: Option<(f64, usize)> = None;
        for entry in candidates {
            let Some(gap) = distance(entry) else { continue };
            if best.is_none_or(|(least, _)| gap < least) {
                best = Some((gap, entry.1));
            }
        }
        best.map(|(_, row)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;

    fn index() -> SortedIndex {
        let rows = vec![row![30], row![10], row![null], row![20], row![10]];
        let table = Table::new(&["n"], rows).unwrap();
        SortedIndex::build(&table, "n").unwrap()
    }

    #[test]
    fn ranges_respect_both_bounds() {
        let index = index();
        let (ten, thirty) = (Value::Int(10), Value::Int(30));
        let closed: Vec<usize> = index
            .range(Bound::Included(&ten), Bound::Excluded(&thirty))
            .collect();
        assert_eq!(closed, [1, 4, 3]);
        let crossed = index.range(Bound::Excluded(&thirty), Bound::Included(&ten));
        assert_eq!(crossed.count(), 0);
    }

    #[test]
    fn nearest_compares_neighbours() {
        let index = index();
        assert_eq!(index.nearest(24.0), Some(3));
        assert_eq!(index.nearest(25.0), Some(3));
        assert_eq!(index.nearest(99.0), Some(0));
        assert_eq!(index.nearest(f64::NAN), None);
    }
}
