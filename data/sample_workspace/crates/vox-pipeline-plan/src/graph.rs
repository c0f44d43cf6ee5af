//! The dependency graph of a pipeline.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;

use crate::Millis;

/// A step as the user declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Unique name.
    pub name: String,
    /// Names of the steps that must finish first.
    pub needs: Vec<String>,
    /// Expected running time.
    pub duration: Millis,
}

/// Why the steps do not form a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// Two steps share a name.
    Duplicate(String),
    /// A step needs one that does not exist.
    Unknown {
        /// The step that has the need.
        step: String,
        /// The name it refers to.
        needs: String,
    },
    /// The steps wait for each other, in this order.
    Cycle(Vec<String>),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::Duplicate(name) => write!(f, "step `{name}` is declared twice"),
            PlanError::Unknown { step, needs } => {
                write!(f, "step `{step}` needs `{needs}`, which does not exist")
            }
            PlanError::Cycle(names) => write!(f, "steps wait in a circle: {}", names.join(" -> ")),
        }
    }
}

impl std::error::Error for PlanError {}

/// Steps with resolved dependencies and a valid order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The steps as declared.
    pub steps: Vec<Step>,
    /// For each step, the indices it depends on, sorted and without repeats.
    pub needs: Vec<Vec<usize>>,
    /// Indices in an order that respects all dependencies.
    pub order: Vec<usize>,
}

/// Sorts a graph topologically; among ready nodes the smallest index goes
/// first.
///
/// `needs[n]` lists what node `n` depends on. A heap of ready nodes makes the
/// order deterministic and close to the order of declaration. Nodes on a
/// cycle, and those behind one, are missing from the result, so a short result
/// reveals the cycle.
///
/// # Panics
///
/// Panics if `needs` mentions a node that is not below its length.
#[must_use]
pub fn topological_order(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for (node, sources) in needs.iter().enumerate() {
        for &source in sources {
            dependents[source].push(node);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> = waiting
        .iter()
        .enumerate()
        .filter(|(_, count)| **count == 0)
        .map(|(node, _)| Reverse(node))
        .collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for &next in &dependents[node] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    order
}

/// Finds one cycle and lists its nodes, each waiting for the next.
///
/// From any node left out by the topological order, some left-out dependency
/// can always be followed; the first node met twice closes the cycle. `None`
/// means that the graph has no cycle.
#[must_use]
pub fn find_cycle(needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut stuck = vec![true; needs.len()];
    for node in topological_order(needs) {
        stuck[node] = false;
    }
    let mut current = stuck.iter().position(|&left_out| left_out)?;
    let mut path: Vec<usize> = Vec::new();
    loop {
        if let Some(start) = path.iter().position(|&seen| seen == current) {
            return Some(path.split_off(start));
        }
        path.push(current);
        current = needs[current]
            .iter()
            .copied()
            .find(|&source| stuck[source])?;
    }
}

impl Plan {
    /// Resolves the names of all needs and orders the steps.
    ///
    /// A need that is listed twice counts once.
    ///
    /// # Errors
    ///
    /// Repeated step names, needs that name no step, and cycles (also a step
    /// that needs itself) make the pipeline invalid.
    pub fn new(steps: Vec<Step>) -> Result<Plan, PlanError> {
        let mut index: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, step) in steps.iter().enumerate() {
            if index.insert(&step.name, at).is_some() {
                return Err(PlanError::Duplicate(step.name.clone()));
            }
        }
        let mut needs = Vec::with_capacity(steps.len());
        for step in &steps {
            let mut sources = Vec::with_capacity(step.needs.len());
            for name in &step.needs {
                let source = index.get(name.as_str()).ok_or_else(|| PlanError::Unknown {
                    step: step.name.clone(),
                    needs: name.clone(),
                })?;
                sources.push(*source);
            }
            sources.sort_unstable();
            sources.dedup();
            needs.push(sources);
        }
        if let Some(cycle) = find_cycle(&needs) {
            let names = cycle.iter().map(|&at| steps[at].name.clone()).collect();
            return Err(PlanError::Cycle(names));
        }
        let order = topological_order(&needs);
        Ok(Plan {
            steps,
            needs,
            order,
        })
    }

    /// Groups the steps into waves that could run side by side.
    ///
    /// A step belongs to the wave after the latest wave of its needs, so the
    /// number of waves is the length of the longest chain. Within a wave the
    /// steps keep their order.
    #[must_use]
    pub fn waves(&self) -> Vec<Vec<usize>> {
        let mut level = vec![0; self.steps.len()];
        let mut waves: Vec<Vec<usize>> = Vec::new();
        for &step in &self.order {
            let after = self.needs[step].iter().map(|&need| level[need] + 1).max();
            level[step] = after.unwrap_or(0);
            if level[step] == waves.len() {
                waves.push(Vec::new());
            }
            waves[level[step]].push(step);
        }
        waves
    }

    /// Lists the steps that must run again if the given ones change.
    ///
    /// The answer contains the changed steps themselves and everything that
    /// depends on them, directly or not, in execution order. Indices that do
    /// not exist are ignored.
    #[must_use]
    pub fn affected_by(&self, changed: &[usize]) -> Vec<usize> {
        let mut dirty = vec![false; self.steps.len()];
        for &step in changed {
            if let Some(flag) = dirty.get_mut(step) {
                *flag = true;
            }
        }
        let mut affected = Vec::new();
        for &step in &self.order {
            if dirty[step] || self.needs[step].iter().any(|&need| dirty[need]) {
                dirty[step] = true;
                affected.push(step);
            }
        }
        affected
    }

    /// Finds needs that other needs imply already.
    ///
    /// Each pair is a step and a direct dependency that is also reachable
    /// through another dependency; removing all of them leaves the order of
    /// execution unchanged. Reachability is kept in one bit row per step.
    #[must_use]
    pub fn redundant_needs(&self) -> Vec<(usize, usize)> {
        let count = self.steps.len();
        let words = count.div_ceil(64);
        let mut reach = vec![vec![0_u64; words]; count];
        let has = |row: &[u64], node: usize| row[node / 64] >> (node % 64) & 1 == 1;
        let mut redundant = Vec::new();
        for &step in &self.order {
            let mut row = vec![0_u64; words];
            for &need in &self.needs[step] {
                for (mine, theirs) in row.iter_mut().zip(&reach[need]) {
                    *mine |= theirs;
                }
            }
            for &need in &self.needs[step] {
                if has(&row, need) {
                    redundant.push((step, need));
                }
            }
            for &need in &self.needs[step] {
                row[need / 64] |= 1 << (need % 64);
            }
            reach[step] = row;
        }
        redundant
    }
}

/// Declares steps compactly: `steps! { "b" (20) needs "a"; }`.
#[macro_export]
macro_rules! steps {
    ($($name:literal ($duration:expr) $(needs $($need:literal),+)?;)*) => {
        vec![$($crate::Step {
            name: String::from($name),
            needs: vec![$($(String::from($need)),+)?],
            duration: $duration,
        }),*]
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diamond() -> Plan {
        let steps = steps! {
            "ship" (1) needs "left", "right", "fetch";
            "left" (5) needs "fetch";
            "right" (9) needs "fetch";
            "fetch" (2);
        };
        Plan::new(steps).unwrap()
    }

    #[test]
    fn order_is_deterministic() {
        let plan = diamond();
        assert_eq!(plan.order, [3, 1, 2, 0]);
        assert_eq!(plan.waves(), vec![vec![3], vec![1, 2], vec![0]]);
    }

    #[test]
    fn faults_are_named() {
        let circle = steps! {
            "a" (1) needs "b";
            "b" (1) needs "c";
            "c" (1) needs "b";
        };
        assert_eq!(
            Plan::new(circle).unwrap_err(),
            PlanError::Cycle(vec!["b".into(), "c".into()])
        );
        let missing = Plan::new(steps! { "a" (1) needs "z"; }).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "step `a` needs `z`, which does not exist"
        );
        assert!(Plan::new(steps! { "a" (1); "a" (2); }).is_err());
    }

    #[test]
    fn changes_propagate_downstream() {
        let plan = diamond();
        assert_eq!(plan.affected_by(&[2, 99]), [2, 0]);
        assert_eq!(plan.affected_by(&[]), Vec::<usize>::new());
    }

    #[test]
    fn implied_needs_are_found() {
        assert_eq!(diamond().redundant_needs(), [(0, 3)]);
    }
}
