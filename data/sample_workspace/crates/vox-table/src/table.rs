//! The table type: named columns over rows of values.

use std::cmp::Ordering;
use std::fmt;

use crate::value::Value;

/// One row; its length equals the number of columns.
pub type Row = Vec<Value>;

/// Why a table could not be built or queried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableError {
    /// A column name occurs twice.
    DuplicateColumn(String),
    /// No column has this name.
    UnknownColumn(String),
    /// A row has the wrong number of cells.
    Ragged {
        /// Index of the row.
        row: usize,
        /// Cells found in it.
        found: usize,
        /// Cells expected.
        expected: usize,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableError::DuplicateColumn(name) => write!(f, "column `{name}` is declared twice"),
            TableError::UnknownColumn(name) => write!(f, "there is no column `{name}`"),
            TableError::Ragged {
                row,
                found,
                expected,
            } => write!(f, "row {row} has {found} cells instead of {expected}"),
        }
    }
}

impl std::error::Error for TableError {}

/// Direction of one sort key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first, nulls last.
    Ascending,
    /// Largest first, nulls last.
    Descending,
}

/// A rectangular set of rows with named columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Column names, unique.
    pub columns: Vec<String>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Row>,
}

impl Table {
    /// Checks column names and row lengths and assembles a table.
    ///
    /// # Errors
    ///
    /// [`TableError::DuplicateColumn`] names the first repeated column;
    /// [`TableError::Ragged`] points at the first row of a wrong length.
    pub fn new(columns: &[&str], rows: Vec<Row>) -> Result<Table, TableError> {
        for (at, name) in columns.iter().enumerate() {
            if columns[..at].contains(name) {
                return Err(TableError::DuplicateColumn((*name).to_string()));
            }
        }
        let expected = columns.len();
        if let Some(row) = rows.iter().position(|row| row.len() != expected) {
            return Err(TableError::Ragged {
                row,
                found: rows[row].len(),
                expected,
            });
        }
        Ok(Table {
            columns: columns.iter().map(|name| (*name).to_string()).collect(),
            rows,
        })
    }

    /// Translates column names to positions, in the order given.
    ///
    /// A name may be asked for several times.
    ///
    /// # Errors
    ///
    /// The first name without a column is reported.
    pub fn positions(&self, names: &[&str]) -> Result<Vec<usize>, TableError> {
        names
            .iter()
            .map(|name| {
                self.columns
                    .iter()
                    .position(|column| column == name)
                    .ok_or_else(|| TableError::UnknownColumn((*name).to_string()))
            })
            .collect()
    }

    /// Builds a table of selected columns, each optionally under a new name.
    ///
    /// A pair `(source, target)` copies column `source` and calls it `target`,
    /// so one column may appear twice under different names. Row order is kept.
    ///
    /// # Errors
    ///
    /// Unknown sources and repeated targets are rejected.
    pub fn project(&self, selection: &[(&str, &str)]) -> Result<Table, TableError> {
        let sources: Vec<&str> = selection.iter().map(|(source, _)| *source).collect();
        let targets: Vec<&str> = selection.iter().map(|(_, target)| *target).collect();
        let positions = self.positions(&sources)?;
        let rows = self
            .rows
            .iter()
            .map(|row| positions.iter().map(|&at| row[at].clone()).collect())
            .collect();
        Table::new(&targets, rows)
    }

    /// Sorts the rows by several keys, most important first.
    ///
    /// The sort is stable: rows that agree on all keys keep their order. Nulls
    /// go last in both directions, since an absent value is neither small nor
    /// large.
    ///
    /// # Errors
    ///
    /// An unknown key column leaves the table as it was.
    pub fn sort_by_keys(&mut self, keys: &[(&str, Direction)]) -> Result<(), TableError> {
        let names: Vec<&str> = keys.iter().map(|(name, _)| *name).collect();
        let positions = self.positions(&names)?;
        self.rows.sort_by(|left, right| {
            for (&at, (_, direction)) in positions.iter().zip(keys) {
                let (a, b) = (&left[at], &right[at]);
                let order = match (a, b) {
                    (Value::Null, Value::Null) => Ordering::Equal,
                    (Value::Null, _) => Ordering::Greater,
                    (_, Value::Null) => Ordering::Less,
                    _ if *direction == Direction::Descending => b.cmp(a),
                    _ => a.cmp(b),
                };
                if order.is_ne() {
                    return order;
                }
            }
            Ordering::Equal
        });
        Ok(())
    }

    /// Draws the table as aligned text with a rule under the header.
    ///
    /// Column widths follow the longest cell, counted in characters and capped
    /// at `max_width` (at least one); longer cells are cut and end in `…`.
    /// Numbers are aligned to the right. Lines carry no trailing blanks.
    #[must_use]
    pub fn render(&self, max_width: usize) -> String {
        let cap = max_width.max(1);
        let clip = |text: String| -> String {
            if text.chars().count() <= cap {
                return text;
            }
            text.chars().take(cap - 1).chain(['…']).collect()
        };
        let mut widths: Vec<usize> = Vec::with_capacity(self.columns.len());
        for (at, name) in self.columns.iter().enumerate() {
            let cells = self.rows.iter().map(|row| row[at].to_string());
            let longest = cells.chain([name.clone()]).map(|text| text.chars().count());
            widths.push(longest.max().unwrap_or(0).min(cap));
        }
        let mut lines = Vec::with_capacity(self.rows.len() + 2);
        let header = self.columns.iter().zip(&widths);
        let header: Vec<String> = header
            .map(|(name, &width)| format!("{:width$}", clip(name.clone())))
            .collect();
        lines.push(header.join("  ").trim_end().to_string());
        let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        lines.push(rules.join("  "));
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(value, &width)| match value {
                    Value::Int(_) | Value::Real(_) => {
                        format!("{:>width$}", clip(value.to_string()))
                    }
                    _ => format!("{:width$}", clip(value.to_string())),
                })
                .collect();
            lines.push(cells.join("  ").trim_end().to_string());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;

    fn sample() -> Table {
        Table::new(
            &["name", "age"],
            vec![row!["Bo", 7], row!["Ada", null], row!["Cy", 31]],
        )
        .unwrap()
    }

    #[test]
    fn shape_is_checked() {
        assert_eq!(
            Table::new(&["a", "a"], vec![]),
            Err(TableError::DuplicateColumn("a".into()))
        );
        assert_eq!(
            Table::new(&["a"], vec![row![1], row![1, 2]]),
            Err(TableError::Ragged {
                row: 1,
                found: 2,
                expected: 1
            })
        );
    }

    #[test]
    fn nulls_sort_last_both_ways() {
        let mut table = sample();
        table
            .sort_by_keys(&[("age", Direction::Descending)])
            .unwrap();
        let names: Vec<String> = table.rows.iter().map(|row| row[0].to_string()).collect();
        assert_eq!(names, ["Cy", "Bo", "Ada"]);
        assert!(table
            .sort_by_keys(&[("size", Direction::Ascending)])
            .is_err());
    }

    #[test]
    fn rendering_clips_and_aligns() {
        let drawn = sample().render(2);
        assert_eq!(drawn, "n…  a…\n--  --\nBo   7\nA…\nCy  31");
    }

    #[test]
    fn projection_may_repeat_a_column() {
        let twice = sample().project(&[("age", "a"), ("age", "b")]).unwrap();
        assert_eq!(twice.rows[2], row![31, 31]);
    }
}
