//! Splitting a join condition into parts that each side can check alone.

use std::ops::Bound;

use super::{Op, Predicate};
use crate::value::Value;

/// A condition divided by the side of a join that can evaluate it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Conjuncts that mention only left columns.
    pub left: Vec<Predicate>,
    /// Conjuncts that mention only right columns.
    pub right: Vec<Predicate>,
    /// Conjuncts that must wait until the rows are joined.
    pub rest: Vec<Predicate>,
}

/// Visits every column name that a condition mentions, repeats included.
///
/// Names are reported depth first, in the order they are written.
pub fn visit_columns<'p, F>(condition: &'p Predicate, visit: &mut F)
where
    F: FnMut(&'p str),
{
    match condition {
        Predicate::Compare(name, _, _) | Predicate::IsNull(name) => visit(name),
        Predicate::All(parts) | Predicate::Any(parts) => {
            for part in parts {
                visit_columns(part, visit);
            }
        }
        Predicate::Not(inner) => visit_columns(inner, visit),
    }
}

/// Sorts the conjuncts of a condition by the side that can check them.
///
/// The condition is normalised first, so that a negated disjunction also
/// yields conjuncts. A part moves to a side if all its columns belong to that
/// side and none to the other; a part without columns stays in the rest. The
/// conjunction of the three groups is equivalent to the input.
#[must_use]
pub fn push_down(condition: &Predicate, left: &[String], right: &[String]) -> Split {
    let conjuncts = match condition.normalised() {
        Predicate::All(parts) => parts,
        single => vec![single],
    };
    let mut split = Split::default();
    for part in conjuncts {
        let (mut on_left, mut on_right, mut any) = (true, true, false);
        visit_columns(&part, &mut |name| {
            let in_left = left.iter().any(|column| column == name);
            let in_right = right.iter().any(|column| column == name);
            on_left &= in_left && !in_right;
            on_right &= in_right && !in_left;
            any = true;
        });
        match (any, on_left, on_right) {
            (true, true, _) => split.left.push(part),
            (true, _, true) => split.right.push(part),
            _ => split.rest.push(part),
        }
    }
    split
}

/// Intersects all comparisons on one column into a single value range.
///
/// `conjuncts` are joined by "and"; parts on other columns, inequalities and
/// nested groups are ignored, which makes the range an over-estimate that is
/// safe for an index scan. At equal values an excluded bound is tighter than
/// an included one. A column without comparisons is unbounded on both ends.
#[must_use]
pub fn index_range<'p>(
    conjuncts: &'p [Predicate],
    column: &str,
) -> (Bound<&'p Value>, Bound<&'p Value>) {
    let mut low: Bound<&Value> = Bound::Unbounded;
    let mut high: Bound<&Value> = Bound::Unbounded;
    for part in conjuncts {
        let Predicate::Compare(name, op, value) = part else {
            continue;
        };
        if name != column {
            continue;
        }
        let raises = match low {
            Bound::Unbounded => true,
            Bound::Included(old) => value > old || (value == old && *op == Op::Gt),
            Bound::Excluded(old) => value > old,
        };
        let lowers = match high {
            Bound::Unbounded => true,
            Bound::Included(old) => value < old || (value == old && *op == Op::Lt),
            Bound::Excluded(old) => value < old,
        };
        match op {
            Op::Gt if raises => low = Bound::Excluded(value),
            Op::Ge if raises => low = Bound::Included(value),
            Op::Lt if lowers => high = Bound::Excluded(value),
            Op::Le if lowers => high = Bound::Included(value),
            Op::Eq => {
                if raises {
                    low = Bound::Included(value);
                }
                if lowers {
                    high = Bound::Included(value);
                }
            }
            _ => {}
        }
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(name: &str, op: Op, value: i64) -> Predicate {
        Predicate::Compare(name.into(), op, Value::Int(value))
    }

    #[test]
    fn conjuncts_move_to_their_side() {
        let left = [String::from("a"), String::from("id")];
        let right = [String::from("b"), String::from("id")];
        let mixed = Predicate::Any(vec![compare("a", Op::Eq, 1), compare("b", Op::Eq, 1)]);
        let condition = Predicate::All(vec![
            compare("a", Op::Gt, 1),
            Predicate::Not(Box::new(compare("b", Op::Gt, 9))),
            mixed.clone(),
            compare("id", Op::Eq, 4),
        ]);
        let split = push_down(&condition, &left, &right);
        assert_eq!(split.left, vec![compare("a", Op::Gt, 1)]);
        assert_eq!(split.right, vec![compare("b", Op::Le, 9)]);
        assert_eq!(split.rest, vec![mixed, compare("id", Op::Eq, 4)]);
    }

    #[test]
    fn ranges_intersect() {
        let parts = [
            compare("n", Op::Ge, 3),
            compare("n", Op::Gt, 3),
            compare("n", Op::Le, 9),
            compare("m", Op::Lt, 1),
            compare("n", Op::Lt, 20),
        ];
        assert_eq!(
            index_range(&parts, "n"),
            (
                Bound::Excluded(&Value::Int(3)),
                Bound::Included(&Value::Int(9))
            )
        );
        assert_eq!(
            index_range(&parts, "k"),
            (Bound::Unbounded, Bound::Unbounded)
        );
    }
}
