//! Row predicates with three-valued logic.

pub mod pushdown;

use std::cmp::Ordering;

use crate::table::{Row, Table, TableError};
use crate::value::Value;

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
}

/// A condition on one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// Compares a column with a constant.
    Compare(String, Op, Value),
    /// Holds if the column is null.
    IsNull(String),
    /// Holds if all parts hold; true when empty.
    All(Vec<Predicate>),
    /// Holds if some part holds; false when empty.
    Any(Vec<Predicate>),
    /// Inverts the inner condition.
    Not(Box<Predicate>),
}

impl Op {
    /// Gives the operator that is true exactly when this one is false.
    ///
    /// The pairs hold for non-null operands only; comparisons with null are
    /// unknown under both operators.
    #[must_use]
    pub const fn negated(self) -> Op {
        match self {
            Op::Eq => Op::Ne,
            Op::Ne => Op::Eq,
            Op::Lt => Op::Ge,
            Op::Le => Op::Gt,
            Op::Gt => Op::Le,
            Op::Ge => Op::Lt,
        }
    }

    const fn accepts(self, order: Ordering) -> bool {
        match self {
            Op::Eq => order.is_eq(),
            Op::Ne => order.is_ne(),
            Op::Lt => order.is_lt(),
            Op::Le => order.is_le(),
            Op::Gt => order.is_gt(),
            Op::Ge => order.is_ge(),
        }
    }
}

impl Predicate {
    /// Evaluates the condition on a row; `None` stands for unknown.
    ///
    /// A comparison that involves null is unknown. Unknown parts make a
    /// conjunction unknown unless some part is false, and a disjunction
    /// unknown unless some part is true; negation keeps unknown.
    ///
    /// # Errors
    ///
    /// A column that is not in `columns` is an error even if another part
    /// would already decide the outcome.
    pub fn eval(&self, columns: &[String], row: &Row) -> Result<Option<bool>, TableError> {
        let cell = |name: &String| {
            let at = columns.iter().position(|column| column == name);
            at.and_then(|at| row.get(at))
                .ok_or_else(|| TableError::UnknownColumn(name.clone()))
        };
        let combine = |parts: &[Predicate], decisive: bool| {
            let mut outcome = Some(!decisive);
            for part in parts {
                let value = part.eval(columns, row)?;
                if outcome != Some(decisive) && value != Some(!decisive) {
                    outcome = value;
                }
            }
            Ok(outcome)
        };
        match self {
            Predicate::Compare(name, op, constant) => Ok(match (cell(name)?, constant) {
                (Value::Null, _) | (_, Value::Null) => None,
                (value, constant) => Some(op.accepts(value.cmp(constant))),
            }),
            Predicate::IsNull(name) => Ok(Some(*cell(name)? == Value::Null)),
            Predicate::All(parts) => combine(parts, false),
            Predicate::Any(parts) => combine(parts, true),
            Predicate::Not(inner) => Ok(inner.eval(columns, row)?.map(|value| !value)),
        }
    }

    /// Rewrites the condition so that negation remains only before `IsNull`.
    ///
    /// Negation moves inward by De Morgan's laws and disappears into
    /// comparison operators; nested groups of one kind are merged and groups
    /// with a single part are unwrapped. Evaluation gives the same outcome as
    /// before on every row, unknown included.
    #[must_use]
    pub fn normalised(&self) -> Predicate {
        self.rewrite(false)
    }

    /// Rebuilds the condition, or its negation if `negate` is set.
    ///
    /// Under negation the two kinds of group trade places. A rewritten part
    /// that is of the same kind as its group is dissolved into it, so groups in
    /// the result alternate between "all" and "any".
    fn rewrite(&self, negate: bool) -> Predicate {
        let (parts, conjunction) = match self {
            Predicate::Compare(name, op, value) => {
                let op = if negate { op.negated() } else { *op };
                return Predicate::Compare(name.clone(), op, value.clone());
            }
            Predicate::IsNull(_) if negate => return Predicate::Not(Box::new(self.clone())),
            Predicate::IsNull(_) => return self.clone(),
            Predicate::Not(inner) => return inner.rewrite(!negate),
            Predicate::All(parts) => (parts, !negate),
            Predicate::Any(parts) => (parts, negate),
        };
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match (part.rewrite(negate), conjunction) {
                (Predicate::All(inner), true) | (Predicate::Any(inner), false) => {
                    flat.extend(inner);
                }
                (other, _) => flat.push(other),
            }
        }
        match (flat.len(), conjunction) {
            (1, _) => flat.remove(0),
            (_, true) => Predicate::All(flat),
            (_, false) => Predicate::Any(flat),
        }
    }
}

/// Keeps the rows for which the condition is certainly true.
///
/// Rows with an unknown outcome are dropped, as in a database query.
///
/// # Errors
///
/// Any unknown column in the condition fails the whole filter.
pub fn filter(table: &Table, condition: &Predicate) -> Result<Table, TableError> {
    let mut rows = Vec::new();
    for row in &table.rows {
        if condition.eval(&table.columns, row)? == Some(true) {
            rows.push(row.clone());
        }
    }
    Ok(Table {
        columns: table.columns.clone(),
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;

    fn compare(name: &str, op: Op, value: i64) -> Predicate {
        Predicate::Compare(name.into(), op, Value::Int(value))
    }

    #[test]
    fn unknown_follows_three_valued_logic() {
        let columns = vec![String::from("a"), String::from("b")];
        let row = row![null, 5];
        let unknown = compare("a", Op::Gt, 1);
        let yes = compare("b", Op::Ge, 5);
        let no = compare("b", Op::Lt, 5);
        let eval = |p: Predicate| p.eval(&columns, &row).unwrap();
        assert_eq!(eval(unknown.clone()), None);
        assert_eq!(eval(Predicate::All(vec![unknown.clone(), no])), Some(false));
        assert_eq!(eval(Predicate::Any(vec![unknown.clone(), yes])), Some(true));
        assert_eq!(eval(Predicate::Not(Box::new(unknown))), None);
        assert_eq!(eval(Predicate::All(vec![])), Some(true));
    }

    #[test]
    fn normal_form_agrees_on_every_row() {
        let inner = Predicate::Any(vec![
            compare("a", Op::Lt, 2),
            Predicate::Not(Box::new(Predicate::All(vec![
                compare("b", Op::Eq, 1),
                Predicate::IsNull("a".into()),
            ]))),
        ]);
        let original = Predicate::Not(Box::new(inner));
        let normal = original.normalised();
        assert_eq!(
            normal,
            Predicate::All(vec![
                compare("a", Op::Ge, 2),
                compare("b", Op::Eq, 1),
                Predicate::IsNull("a".into()),
            ])
        );
        let columns = vec![String::from("a"), String::from("b")];
        for row in [row![1, 1], row![null, 1], row![null, null], row![3, 0]] {
            assert_eq!(
                original.eval(&columns, &row).unwrap(),
                normal.eval(&columns, &row).unwrap()
            );
        }
    }

    #[test]
    fn filter_rejects_unknown_columns() {
        let table = Table::new(&["a"], vec![row![1], row![5]]).unwrap();
        let kept = filter(&table, &compare("a", Op::Gt, 2)).unwrap();
        assert_eq!(kept.rows, vec![row![5]]);
        assert!(filter(&table, &compare("z", Op::Gt, 2)).is_err());
    }
}
