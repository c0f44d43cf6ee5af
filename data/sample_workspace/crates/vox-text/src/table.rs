//! Plain-text tables.

/// Where a cell's text sits inside its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Align {
    /// Blanks follow the text.
    #[default]
    Left,
    /// Blanks precede the text.
    Right,
    /// Blanks on both sides, the odd one on the right.
    Center,
    /// Numbers line up at the decimal point.
    Decimal,
}

/// Lays out rows of cells in aligned columns separated by `gap` blanks.
///
/// Column widths come from the widest cell; short rows count as ending in empty
/// cells, and columns without an entry in `aligns` are left-aligned. Trailing
/// blanks are removed from each line, and every line ends in a newline.
///
/// # Examples
///
/// ```
/// use vox_text::table::{render_table, Align};
/// let rows = [["unit", "hz"], ["a", "440"]];
/// let text = render_table(&rows, &[Align::Left, Align::Right], 2);
/// assert_eq!(text, "unit   hz\na     440\n");
/// ```
#[must_use]
pub fn render_table<R, C>(rows: &[R], aligns: &[Align], gap: usize) -> String
where
    R: AsRef<[C]>,
    C: AsRef<str>,
{
    let columns = rows.iter().map(|r| r.as_ref().len()).max().unwrap_or(0);
    let mut laid_out: Vec<Vec<String>> = Vec::with_capacity(columns);
    for col in 0..columns {
        let cells: Vec<&str> = rows
            .iter()
            .map(|r| r.as_ref().get(col).map_or("", |c| c.as_ref()))
            .collect();
        laid_out.push(align_column(
            &cells,
            aligns.get(col).copied().unwrap_or_default(),
        ));
    }
    let gap = " ".repeat(gap);
    let mut out = String::new();
    for row in 0..rows.len() {
        let line: Vec<&str> = laid_out.iter().map(|c| c[row].as_str()).collect();
        out.push_str(line.join(&gap).trim_end());
        out.push('\n');
    }
    out
}

/// Pads all cells of one column to a common width.
///
/// For [`Align::Decimal`] the part from the point on is first padded on the
/// right so that the points share a column, then the whole is right-aligned;
/// cells without a point are treated as having it after their last character.
/// Width is measured in characters.
pub fn align_column(cells: &[&str], align: Align) -> Vec<String> {
    let fraction = |cell: &str| cell.find('.').map_or(0, |at| cell[at..].chars().count());
    let widest_fraction = cells.iter().map(|c| fraction(c)).max().unwrap_or(0);
    let prepared: Vec<String> = cells
        .iter()
        .map(|cell| match align {
            Align::Decimal => {
                format!("{cell}{}", " ".repeat(widest_fraction - fraction(cell)))
            }
            _ => (*cell).to_owned(),
        })
        .collect();
    let width = prepared
        .iter()
        .map(|c| c.chars().count())
        .max()
        .unwrap_or(0);
    prepared
        .iter()
        .map(|cell| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right | Align::Decimal => format!("{cell:>width$}"),
            Align::Center => format!("{cell:^width$}"),
        })
        .collect()
}

/// Parses the rule line of a pipe table, such as `| :--- | ---: | :-: |`.
///
/// Colons mark the side a column clings to, two of them centre it. The outer
/// pipes are optional. Returns `None` when a cell has no dash or holds anything
/// but dashes between its colons, so a text row is never taken for a rule.
#[must_use]
pub fn parse_rule_line(line: &str) -> Option<Vec<Align>> {
    let trimmed = line.trim();
    let inner = trimmed.strip_prefix('|').unwrap_or(trimmed);
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let mut aligns = Vec::new();
    for cell in inner.split('|').map(str::trim) {
        let dashes = cell.strip_prefix(':').unwrap_or(cell);
        let left = dashes.len() < cell.len();
        let core = dashes.strip_suffix(':').unwrap_or(dashes);
        let right = core.len() < dashes.len();
        if core.is_empty() || core.chars().any(|c| c != '-') {
            return None;
        }
        aligns.push(match (left, right) {
            (true, true) => Align::Center,
            (false, true) => Align::Right,
            _ => Align::Left,
        });
    }
    Some(aligns)
}

/// Splits a row of comma-separated values with quoted fields.
///
/// A field that starts with `"` runs to the next lone quote; inside it a doubled
/// quote stands for one and commas are ordinary. Text after the closing quote is
/// appended as it is. `None` means that a quoted field was never closed.
pub fn split_csv_row(row: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = row.chars().peekable();
    let mut fresh = true;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' if quoted => quoted = false,
            '"' if fresh => quoted = true,
            ',' if !quoted => {
                fields.push(std::mem::take(&mut field));
                fresh = true;
                continue;
            }
            c => field.push(c),
        }
        fresh = false;
    }
    fields.push(field);
    (!quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_points_line_up() {
        assert_eq!(
            align_column(&["1.25", "10", "3.5"], Align::Decimal),
            [" 1.25", "10   ", " 3.5 "]
        );
    }

    #[test]
    fn ragged_rows_are_padded() {
        let rows = [vec!["a"], vec!["bb", "c"]];
        assert_eq!(render_table(&rows, &[], 1), "a\nbb c\n");
    }

    #[test]
    fn rules_and_rows() {
        assert_eq!(
            parse_rule_line("|:--|:-:|-:|"),
            Some(vec![Align::Left, Align::Center, Align::Right])
        );
        assert_eq!(parse_rule_line("a | b"), None);
        assert_eq!(parse_rule_line(":"), None);
        assert_eq!(
            split_csv_row("a,\"b,\"\"c\",").map(|f| f.join(";")),
            Some("a;b,\"c;".into())
        );
        assert_eq!(split_csv_row("\"open"), None);
    }
}
