//! Grouping with pluggable aggregates.

use std::collections::BTreeMap;

use crate::table::{Row, Table, TableError};
use crate::value::Value;

/// Folds the cells of one group into a single value.
pub trait Aggregate {
    /// Takes in one cell.
    fn add(&mut self, cell: &Value);

    /// Gives the result for everything added so far.
    fn finish(&self) -> Value;

    /// Runs the aggregate over a whole column, skipping nulls.
    ///
    /// If every cell is null (or there are none) the answer is null instead of
    /// the aggregate's own idea of an empty result.
    fn over<'v>(mut self, cells: impl IntoIterator<Item = &'v Value>) -> Value
    where
        Self: Sized,
    {
        let mut any = false;
        for cell in cells {
            if *cell != Value::Null {
                self.add(cell);
                any = true;
            }
        }
        if any {
            self.finish()
        } else {
            Value::Null
        }
    }
}

/// Adds numbers, staying in integers for as long as that is exact.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    whole: i64,
    real: f64,
    lost: bool,
}

impl Aggregate for Sum {
    /// Adds an integer exactly, or switches to floating point for good.
    ///
    /// The switch happens at the first real number and when the integer sum
    /// would overflow; the integers collected until then are carried over.
    /// Cells without a numeric value are ignored.
    fn add(&mut self, cell: &Value) {
        match cell {
            Value::Int(number) if !self.lost => match self.whole.checked_add(*number) {
                Some(sum) => self.whole = sum,
                None => {
                    self.real = self.whole as f64 + *number as f64;
                    self.lost = true;
                }
            },
            other => {
                let Some(number) = other.as_number() else {
                    return;
                };
                if !self.lost {
                    self.real = self.whole as f64;
                    self.lost = true;
                }
                self.real += number;
            }
        }
    }

    fn finish(&self) -> Value {
        if self.lost {
            Value::Real(self.real)
        } else {
            Value::Int(self.whole)
        }
    }
}

/// Groups rows by key columns and aggregates one other column.
///
/// The result has the key columns followed by `output`, with one row per
/// distinct key in ascending key order. Nulls form a group of their own. A
/// fresh aggregate is created by `make` for every group.
///
/// # Errors
///
/// Unknown columns and an output name that repeats a key are rejected.
pub fn group_by<A, F>(
    table: &Table,
    keys: &[&str],
    column: &str,
    output: &str,
    make: F,
) -> Result<Table, TableError>
where
    A: Aggregate,
    F: Fn() -> A,
{
    let key_at = table.positions(keys)?;
    let value_at = table.positions(&[column])?[0];
    let mut groups: BTreeMap<Row, Vec<&Value>> = BTreeMap::new();
    for row in &table.rows {
        let key: Row = key_at.iter().map(|&at| row[at].clone()).collect();
        groups.entry(key).or_default().push(&row[value_at]);
    }
    let rows = groups
        .into_iter()
        .map(|(mut key, cells)| {
            key.push(make().over(cells));
            key
        })
        .collect();
    let names: Vec<&str> = keys.iter().copied().chain([output]).collect();
    Table::new(&names, rows)
}

/// Turns the distinct values of one column into columns of their own.
///
/// Each distinct `row_key` becomes a row and each distinct `column_key` a
/// column named by its text; both are in ascending order. A cell holds the
/// last `value` seen for its pair and is null where there was none.
///
/// # Errors
///
/// Fails on unknown columns, and if two new column names coincide because
/// different values have the same text.
pub fn pivot(
    table: &Table,
    row_key: &str,
    column_key: &str,
    value: &str,
) -> Result<Table, TableError> {
    let at = table.positions(&[row_key, column_key, value])?;
    let mut cells: BTreeMap<&Value, BTreeMap<&Value, &Value>> = BTreeMap::new();
    let mut headers: BTreeMap<&Value, String> = BTreeMap::new();
    for row in &table.rows {
        let (group, header) = (&row[at[0]], &row[at[1]]);
        headers.entry(header).or_insert_with(|| header.to_string());
        cells.entry(group).or_default().insert(header, &row[at[2]]);
    }
    let names: Vec<&str> = [row_key]
        .into_iter()
        .chain(headers.values().map(String::as_str))
        .collect();
    let rows = cells
        .iter()
        .map(|(group, found)| {
            let filled = headers.keys().map(|header| {
                found
                    .get(header)
                    .map_or(Value::Null, |cell| (*cell).clone())
            });
            [(*group).clone()].into_iter().chain(filled).collect()
        })
        .collect();
    Table::new(&names, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;

    fn sales() -> Table {
        Table::new(
            &["shop", "month", "sold"],
            vec![
                row!["b", 1, 4],
                row!["a", 1, null],
                row!["b", 2, 6],
                row!["a", 2, null],
            ],
        )
        .unwrap()
    }

    #[test]
    fn groups_are_ordered_and_null_safe() {
        let sums = group_by(&sales(), &["shop"], "sold", "total", Sum::default).unwrap();
        assert_eq!(sums.rows, vec![row!["a", null], row!["b", 10]]);
        assert!(group_by(&sales(), &["shop"], "sold", "shop", Sum::default).is_err());
    }

    #[test]
    fn sums_fall_back_to_reals() {
        let cells = row![(i64::MAX), 1];
        assert!(matches!(Sum::default().over(&cells), Value::Real(_)));
        let mixed = row![1, 0.5, 2];
        assert_eq!(Sum::default().over(&mixed), Value::Real(3.5));
    }

    #[test]
    fn pivot_fills_gaps_with_null() {
        let table =
            Table::new(&["k", "c", "v"], vec![row!["x", 2, "p"], row!["y", 1, "q"]]).unwrap();
        let wide = pivot(&table, "k", "c", "v").unwrap();
        assert_eq!(wide.columns, ["k", "1", "2"]);
        assert_eq!(wide.rows, vec![row!["x", null, "p"], row!["y", "q", null]]);
    }
}
