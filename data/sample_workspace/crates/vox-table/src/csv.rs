//! Reading and writing delimited text.

use crate::table::{Row, Table, TableError};
use crate::value::Value;

/// A structural fault in delimited text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsvError {
    /// A quoted field is still open at the end of the text.
    UnclosedQuote {
        /// Line (from 1) where the quote was opened.
        line: usize,
    },
    /// Text follows a closing quote inside the same field.
    TrailingText {
        /// Line (from 1) of the fault.
        line: usize,
    },
    /// The records do not form a table.
    Shape(TableError),
}

/// Splits delimited text into records of raw fields.
///
/// Fields may be quoted with `"`; inside quotes, delimiters and line breaks
/// are data and `""` stands for one quote. Lines end at `\n` or `\r\n`, and
/// wholly empty lines are skipped.
///
/// # Errors
///
/// Unbalanced quotes and text after a closing quote, with the line number.
pub fn records(text: &str, delimiter: char) -> Result<Vec<Vec<String>>, CsvError> {
    let mut out = Vec::new();
    let mut record: Vec<String> = Vec::new();
    let mut field = String::new();
    let mut line = 1;
    let mut opened = None;
    let mut closed = false;
    let mut chars = text.chars().peekable();
    while let Some(ch) = chars.next() {
        if opened.is_some() {
            match ch {
                '"' if chars.peek() == Some(&'"') => field.extend(chars.next()),
                '"' => {
                    opened = None;
                    closed = true;
                }
                _ => {
                    line += usize::from(ch == '\n');
                    field.push(ch);
                }
            }
            continue;
        }
        match ch {
            '"' if field.is_empty() && !closed => opened = Some(line),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                line += 1;
                if closed || !field.is_empty() || !record.is_empty() {
                    record.push(std::mem::take(&mut field));
                    out.push(std::mem::take(&mut record));
                }
                closed = false;
            }
            _ if ch == delimiter => {
                record.push(std::mem::take(&mut field));
                closed = false;
            }
            _ if closed => return Err(CsvError::TrailingText { line }),
            _ => field.push(ch),
        }
    }
    if let Some(line) = opened {
        return Err(CsvError::UnclosedQuote { line });
    }
    if closed || !field.is_empty() || !record.is_empty() {
        record.push(field);
        out.push(record);
    }
    Ok(out)
}

/// Reads a table whose first record holds the column names.
///
/// Cell types are inferred one by one. Short records are filled up with
/// nulls, because spreadsheets drop trailing empty cells; long ones are an
/// error. Empty text is a table without columns.
///
/// # Errors
///
/// Syntax faults from [`records`], repeated names and over-long records.
pub fn read(text: &str, delimiter: char) -> Result<Table, CsvError> {
    let mut records = records(text, delimiter)?.into_iter();
    let header = records.next().unwrap_or_default();
    let names: Vec<&str> = header.iter().map(|name| name.trim()).collect();
    let rows = records
        .map(|record| {
            let mut row: Row = record.iter().map(|cell| Value::infer(cell)).collect();
            if row.len() < names.len() {
                row.resize(names.len(), Value::Null);
            }
            row
        })
        .collect();
    Table::new(&names, rows).map_err(CsvError::Shape)
}

/// Writes a table so that [`records`] reads the same texts again.
///
/// Fields are quoted only where needed: if they contain the delimiter, a quote
/// or a line break, or if a record would otherwise be an empty line. Quotes
/// are doubled. Every record ends with `\n`.
#[must_use]
pub fn write(table: &Table, delimiter: char) -> String {
    let quoted = |field: &str| {
        let special = |ch: char| ch == delimiter || matches!(ch, '"' | '\n' | '\r');
        if field.contains(special) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_string()
        }
    };
    let mut out = String::new();
    let header = table.columns.clone();
    let body = table
        .rows
        .iter()
        .map(|row| row.iter().map(Value::to_string).collect());
    for fields in [header].into_iter().chain(body) {
        let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
        match fields.as_slice() {
            [only] if only.is_empty() => out.push_str("\"\""),
            _ => out.push_str(&fields.join(&delimiter.to_string())),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;

    #[test]
    fn quotes_protect_delimiters_and_breaks() {
        let parsed = records("a;\"b;\"\"c\"\"\nd\"\r\n\n;", ';').unwrap();
        assert_eq!(parsed, vec![vec!["a", "b;\"c\"\nd"], vec!["", ""]]);
    }

    #[test]
    fn faults_carry_lines() {
        assert_eq!(
            records("a\n\"b", ','),
            Err(CsvError::UnclosedQuote { line: 2 })
        );
        assert_eq!(
            records("\"a\"b", ','),
            Err(CsvError::TrailingText { line: 1 })
        );
    }

    #[test]
    fn tables_round_trip() {
        let table = Table::new(
            &["id", "note"],
            vec![row![1, "plain"], row![2, "x, \"y\""], row![3, null]],
        )
        .unwrap();
        assert_eq!(read(&write(&table, ','), ','), Ok(table));
    }

    #[test]
    fn short_records_are_padded() {
        let table = read("a,b\n1\n", ',').unwrap();
        assert_eq!(table.rows, vec![row![1, null]]);
        assert!(matches!(read("a\n1,2\n", ','), Err(CsvError::Shape(_))));
    }
}
