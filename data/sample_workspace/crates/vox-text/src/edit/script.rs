//! Edit scripts: how to turn one sequence into another.

use std::fmt;
use std::ops::Range;

/// One step of an edit script, holding run lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit<T> {
    /// Copy this many items from the old sequence.
    Keep(usize),
    /// Skip this many items of the old sequence.
    Delete(usize),
    /// Emit these new items.
    Insert(Vec<T>),
}

/// Why a script could not be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptError {
    /// The script reads past the end of the old sequence.
    PastEnd {
        /// Index of the offending step.
        step: usize,
    },
    /// The script ended before the old sequence did.
    Leftover {
        /// Number of items that no step consumed.
        items: usize,
    },
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScriptError::PastEnd { step } => write!(f, "step {step} reads past the end"),
            ScriptError::Leftover { items } => write!(f, "{items} items were left over"),
        }
    }
}

impl std::error::Error for ScriptError {}

/// A changed region with its surrounding context, as line ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// Affected items of the old sequence.
    pub old: Range<usize>,
    /// Corresponding items of the new sequence.
    pub new: Range<usize>,
}

/// Computes a shortest script that turns `old` into `new`.
///
/// A table of longest common subsequences is filled from the back and walked
/// from the front; where both choices are equally good, deletions come before
/// insertions. Neighbouring steps of one kind are merged, so the script never
/// holds two `Keep`s in a row or an empty run.
#[must_use]
pub fn edit_script<T>(old: &[T], new: &[T]) -> Vec<Edit<T>>
where
    T: PartialEq + Clone,
{
    let (n, m) = (old.len(), new.len());
    let mut lcs = vec![vec![0u32; m + 1]; n + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            lcs[i][j] = if old[i] == new[j] {
                lcs[i + 1][j + 1] + 1
            } else {
                lcs[i + 1][j].max(lcs[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut script = Vec::new();
    while i < n || j < m {
        if i < n && j < m && old[i] == new[j] {
            push_merged(&mut script, Edit::Keep(1));
            i += 1;
            j += 1;
        } else if i < n && (j == m || lcs[i + 1][j] >= lcs[i][j + 1]) {
            push_merged(&mut script, Edit::Delete(1));
            i += 1;
        } else {
            push_merged(&mut script, Edit::Insert(vec![new[j].clone()]));
            j += 1;
        }
    }
    script
}

fn push_merged<T>(script: &mut Vec<Edit<T>>, step: Edit<T>) {
    match (script.last_mut(), step) {
        (Some(Edit::Keep(n)), Edit::Keep(k)) => *n += k,
        (Some(Edit::Delete(n)), Edit::Delete(k)) => *n += k,
        (Some(Edit::Insert(items)), Edit::Insert(more)) => items.extend(more),
        (_, step) => script.push(step),
    }
}

/// Replays a script on the sequence it was made for.
///
/// # Errors
///
/// [`ScriptError::PastEnd`] names the first step that needs more old items than
/// there are; [`ScriptError::Leftover`] is returned when the script stops early.
pub fn apply_script<T: Clone>(old: &[T], script: &[Edit<T>]) -> Result<Vec<T>, ScriptError> {
    let mut rest = old;
    let mut out = Vec::with_capacity(old.len());
    for (step, edit) in script.iter().enumerate() {
        match edit {
            Edit::Insert(items) => out.extend_from_slice(items),
            Edit::Keep(n) | Edit::Delete(n) => {
                if *n > rest.len() {
                    return Err(ScriptError::PastEnd { step });
                }
                let (head, tail) = rest.split_at(*n);
                if matches!(edit, Edit::Keep(_)) {
                    out.extend_from_slice(head);
                }
                rest = tail;
            }
        }
    }
    if rest.is_empty() {
        Ok(out)
    } else {
        Err(ScriptError::Leftover { items: rest.len() })
    }
}

/// Gathers the changes of a script into hunks with `context` kept items around.
///
/// Two changes share a hunk when at most `2 * context` kept items lie between
/// them. Context is clipped at both ends of the sequences. A script without
/// changes has no hunks.
pub fn group_hunks<T>(script: &[Edit<T>], context: usize) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let (mut i, mut j) = (0, 0);
    for edit in script {
        let (di, dj) = match edit {
            Edit::Keep(n) => (*n, *n),
            Edit::Delete(n) => (*n, 0),
            Edit::Insert(items) => (0, items.len()),
        };
        if matches!(edit, Edit::Keep(_)) {
            if let Some(last) = hunks.last_mut() {
                let tail = di.min(context);
                last.old.end = i + tail;
                last.new.end = j + tail;
            }
        } else {
            let lead = context.min(i).min(j);
            match hunks.last_mut() {
                Some(last) if last.old.end + lead >= i => {
                    last.old.end = i + di;
                    last.new.end = j + dj;
                }
                _ => hunks.push(Hunk {
                    old: i - lead..i + di,
                    new: j - lead..j + dj,
                }),
            }
        }
        i += di;
        j += dj;
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_replay_to_the_new_sequence() {
        for seed in 1..40 {
            let a: Vec<char> = crate::seeded_text(seed, 25, &['a', 'b', 'c'])
                .chars()
                .collect();
            let b: Vec<char> = crate::seeded_text(seed + 99, 20, &['a', 'b', 'c'])
                .chars()
                .collect();
            let script = edit_script(&a, &b);
            assert_eq!(apply_script(&a, &script), Ok(b));
        }
    }

    #[test]
    fn replay_errors() {
        let bad: Vec<Edit<u8>> = vec![Edit::Keep(1), Edit::Delete(5)];
        assert_eq!(
            apply_script(&[1, 2], &bad),
            Err(ScriptError::PastEnd { step: 1 })
        );
        assert_eq!(
            apply_script(&[1, 2], &bad[..1]),
            Err(ScriptError::Leftover { items: 1 })
        );
    }

    #[test]
    fn hunks_merge_when_close() {
        let old: Vec<u32> = (0..20).collect();
        let mut new = old.clone();
        new[5] = 100;
        new[8] = 101;
        new[18] = 102;
        let script = edit_script(&old, &new);
        let hunks = group_hunks(&script, 1);
        assert_eq!(hunks.len(), 2);
        assert_eq!(
            hunks[0],
            Hunk {
                old: 4..10,
                new: 4..10
            }
        );
        assert_eq!(
            hunks[1],
            Hunk {
                old: 17..20,
                new: 17..20
            }
        );
        assert!(group_hunks(&edit_script(&old, &old), 3).is_empty());
    }
}
