//! Differences between two versions of a table.

use std::collections::BTreeMap;

use crate::table::{Row, Table, TableError};
use crate::value::Value;

/// One changed row, identified by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key exists only in the new version.
    Added(Row),
    /// The key exists only in the old version.
    Removed(Row),
    /// The key exists in both; cells that differ are listed.
    Modified {
        /// Value of the key column.
        key: Value,
        /// Column position, old cell and new cell.
        cells: Vec<(usize, Value, Value)>,
    },
}

/// Compares two tables row by row, matching rows through a key column.
///
/// Changes are listed in ascending key order. If a key is repeated within one
/// table, its last row counts. The tables must have the same columns in the
/// same order.
///
/// # Errors
///
/// [`TableError::UnknownColumn`] names the key if the old table lacks it, or
/// else the first column in which the tables differ (its new name, if any).
pub fn diff_by_key(old: &Table, new: &Table, key: &str) -> Result<Vec<Change>, TableError> {
    let at = old.positions(&[key])?[0];
    if old.columns != new.columns {
        let longest = old.columns.len().max(new.columns.len());
        let name = (0..longest)
            .map(|column| (old.columns.get(column), new.columns.get(column)))
            .find(|(before, after)| before != after)
            .and_then(|(before, after)| after.or(before))
            .cloned()
            .unwrap_or_default();
        return Err(TableError::UnknownColumn(name));
    }
    let mut pairs: BTreeMap<&Value, (Option<&Row>, Option<&Row>)> = BTreeMap::new();
    for row in &old.rows {
        pairs.entry(&row[at]).or_default().0 = Some(row);
    }
    for row in &new.rows {
        pairs.entry(&row[at]).or_default().1 = Some(row);
    }
    let mut changes = Vec::new();
    for (key, versions) in pairs {
        match versions {
            (Some(before), Some(after)) => {
                let cells: Vec<(usize, Value, Value)> = before
                    .iter()
                    .zip(after)
                    .enumerate()
                    .filter(|(_, (left, right))| left != right)
                    .map(|(column, (left, right))| (column, left.clone(), right.clone()))
                    .collect();
                if !cells.is_empty() {
                    changes.push(Change::Modified {
                        key: key.clone(),
                        cells,
                    });
                }
            }
            (Some(before), None) => changes.push(Change::Removed(before.clone())),
            (None, Some(after)) => changes.push(Change::Added(after.clone())),
            (None, None) => {}
        }
    }
    Ok(changes)
}

/// Applies changes to a table, checking that it is in the expected state.
///
/// Additions are appended, removals and modifications look up the row by its
/// key at column position `key`. The table is changed only if all changes fit.
///
/// # Errors
///
/// The index of the first change that does not fit: an addition whose key is
/// present, a removal or modification whose key is absent or whose old cells
/// differ, or a row or position that does not fit the columns.
pub fn apply(table: &mut Table, changes: &[Change], key: usize) -> Result<(), usize> {
    let mut rows = table.rows.clone();
    let width = table.columns.len();
    let locate =
        |rows: &[Row], wanted: &Value| rows.iter().position(|row| row.get(key) == Some(wanted));
    for (index, change) in changes.iter().enumerate() {
        match change {
            Change::Added(row) => {
                let fresh = row.get(key).is_some_and(|id| locate(&rows, id).is_none());
                if !fresh || row.len() != width {
                    return Err(index);
                }
                rows.push(row.clone());
            }
            Change::Removed(row) => {
                let id = row.get(key).ok_or(index)?;
                let at = locate(&rows, id).ok_or(index)?;
                if rows[at] != *row {
                    return Err(index);
                }
                rows.remove(at);
            }
            Change::Modified { key: id, cells } => {
                let at = locate(&rows, id).ok_or(index)?;
                for (column, before, after) in cells {
                    let cell = rows[at].get_mut(*column).ok_or(index)?;
                    if cell != before {
                        return Err(index);
                    }
                    *cell = after.clone();
                }
            }
        }
    }
    table.rows = rows;
    Ok(())
}

/// Finds a longest common subsequence and returns its index pairs.
///
/// Used to line up rows that have no key. A table of suffix lengths is filled
/// from the back and then walked from the front, preferring to skip on the
/// left; time and memory grow with the product of the two lengths.
#[must_use]
pub fn common_rows<T: PartialEq>(left: &[T], right: &[T]) -> Vec<(usize, usize)> {
    let stride = right.len() + 1;
    let mut lengths = vec![0_usize; (left.len() + 1) * stride];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            lengths[i * stride + j] = if left[i] == right[j] {
                lengths[(i + 1) * stride + j + 1] + 1
            } else {
                lengths[(i + 1) * stride + j].max(lengths[i * stride + j + 1])
            };
        }
    }
    let mut pairs = Vec::with_capacity(lengths[0]);
    let (mut i, mut j) = (0, 0);
    while i < left.len() && j < right.len() {
        if left[i] == right[j] {
            pairs.push((i, j));
            i += 1;
            j += 1;
        } else if lengths[(i + 1) * stride + j] >= lengths[i * stride + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;

    #[test]
    fn differences_apply_back() {
        let old = Table::new(&["id", "n"], vec![row![1, "a"], row![2, "b"], row![3, "c"]]).unwrap();
        let new = Table::new(&["id", "n"], vec![row![1, "a"], row![3, "C"], row![4, "d"]]).unwrap();
        let changes = diff_by_key(&old, &new, "id").unwrap();
        assert_eq!(changes.len(), 3);
        let mut patched = old.clone();
        apply(&mut patched, &changes, 0).unwrap();
        assert_eq!(patched, new);
        assert_eq!(apply(&mut patched, &changes, 0), Err(0));
        assert_eq!(patched, new);
    }

    #[test]
    fn column_changes_are_named() {
        let old = Table::new(&["id"], vec![]).unwrap();
        let new = Table::new(&["id", "x"], vec![]).unwrap();
        assert_eq!(
            diff_by_key(&old, &new, "id"),
            Err(TableError::UnknownColumn("x".into()))
        );
    }

    #[test]
    fn subsequence_is_longest() {
        let pairs = common_rows(&[1, 2, 3, 4], &[2, 4, 3, 4]);
        assert_eq!(pairs, [(1, 0), (2, 2), (3, 3)]);
        assert!(common_rows::<u8>(&[], &[1]).is_empty());
    }
}
