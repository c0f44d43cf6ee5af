//! Joins between two tables.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::table::{Row, Table, TableError};
use crate::value::Value;

/// Which unmatched rows a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Only pairs that match.
    Inner,
    /// Also left rows without a partner, padded with nulls.
    Left,
}

/// Names the columns of a join, marking clashes with a suffix.
///
/// Left names stay as they are. A right name that is already taken gets
/// `_2`, `_3` and so on until it is unique.
fn joined_columns(left: &Table, right: &Table) -> Vec<String> {
    let mut names = left.columns.clone();
    for name in &right.columns {
        let mut candidate = name.clone();
        let mut number = 2;
        while names.contains(&candidate) {
            candidate = format!("{name}_{number}");
            number += 1;
        }
        names.push(candidate);
    }
    names
}

/// Joins two tables on the equality of one column each.
///
/// The right side is loaded into an ordered map from key to row numbers, then
/// each left row looks up its partners; output follows the order of the left
/// rows and, within one, of the right rows. Null keys never match. All columns
/// of both sides are present in the result.
///
/// # Errors
///
/// Fails if either key column does not exist.
pub fn equi_join(
    left: &Table,
    left_key: &str,
    right: &Table,
    right_key: &str,
    kind: JoinKind,
) -> Result<Table, TableError> {
    let left_at = left.positions(&[left_key])?[0];
    let right_at = right.positions(&[right_key])?[0];
    let mut partners: BTreeMap<&Value, Vec<&Row>> = BTreeMap::new();
    for row in &right.rows {
        if row[right_at] != Value::Null {
            partners.entry(&row[right_at]).or_default().push(row);
        }
    }
    let mut rows = Vec::new();
    for row in &left.rows {
        match partners.get(&row[left_at]) {
            Some(matches) => rows.extend(
                matches
                    .iter()
                    .map(|partner| row.iter().chain(partner.iter()).cloned().collect::<Row>()),
            ),
            None if kind == JoinKind::Left => {
                let mut padded = row.clone();
                padded.resize(left.columns.len() + right.columns.len(), Value::Null);
                rows.push(padded);
            }
            None => {}
        }
    }
    Ok(Table {
        columns: joined_columns(left, right),
        rows,
    })
}

/// Merges two slices that are sorted by the same key, calling `emit` for each
/// pair with equal keys.
///
/// Runs of equal keys on both sides produce their full cross product. The
/// slices are read once from front to back; if they are not sorted, pairs may
/// be missed but nothing else goes wrong. The number of pairs is returned.
pub fn merge_pairs<L, R, K, F>(
    left: &[L],
    right: &[R],
    left_key: impl Fn(&L) -> K,
    right_key: impl Fn(&R) -> K,
    mut emit: F,
) -> usize
where
    K: Ord,
    F: FnMut(&L, &R),
{
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < left.len() && j < right.len() {
        let key = left_key(&left[i]);
        match key.cmp(&right_key(&right[j])) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => {
                let run = right[j..].iter().take_while(|item| right_key(item) == key);
                let width = run.count();
                while i < left.len() && left_key(&left[i]) == key {
                    for partner in &right[j..j + width] {
                        emit(&left[i], partner);
                        count += 1;
                    }
                    i += 1;
                }
                j += width;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;

    #[test]
    fn left_join_pads_with_nulls() {
        let people = Table::new(&["id", "city"], vec![row![1, 7], row![2, null]]).unwrap();
        let cities = Table::new(&["id", "name"], vec![row![7, "Oslo"], row![null, "?"]]).unwrap();
        let joined = equi_join(&people, "city", &cities, "id", JoinKind::Left).unwrap();
        assert_eq!(joined.columns, ["id", "city", "id_2", "name"]);
        assert_eq!(
            joined.rows,
            vec![row![1, 7, 7, "Oslo"], row![2, null, null, null]]
        );
        let inner = equi_join(&people, "city", &cities, "id", JoinKind::Inner).unwrap();
        assert_eq!(inner.rows.len(), 1);
    }

    #[test]
    fn merge_crosses_equal_runs() {
        let mut seen = Vec::new();
        let count = merge_pairs(
            &[1, 2, 2, 5],
            &["2a", "2b", "3c"],
            |n: &i32| *n,
            |s: &&str| i32::from(s.as_bytes()[0] - b'0'),
            |n, s| seen.push(format!("{n}{s}")),
        );
        assert_eq!(count, 4);
        assert_eq!(seen, ["22a", "22b", "22a", "22b"]);
    }
}
