//! Reachability.

use crate::order::{condensation, topological_order};
use crate::{Digraph, Node};

/// A square matrix of bits, one row per node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitMatrix {
    words: usize,
    bits: Vec<u64>,
}

impl BitMatrix {
    /// Makes an all-zero matrix for `nodes` nodes.
    pub fn new(nodes: usize) -> Self {
        let words = nodes.div_ceil(64);
        BitMatrix {
            words,
            bits: vec![0; words * nodes],
        }
    }

    /// Tests one bit.
    pub fn contains(&self, row: Node, column: Node) -> bool {
        self.bits[row * self.words + column / 64] >> (column % 64) & 1 == 1
    }

    /// Sets one bit.
    pub fn insert(&mut self, row: Node, column: Node) {
        self.bits[row * self.words + column / 64] |= 1 << (column % 64);
    }

    /// Ors row `source` into row `target`, a word at a time.
    ///
    /// Returns whether any bit of the target row changed, which fixed-point
    /// loops use to decide on another round.
    pub fn union_rows(&mut self, target: Node, source: Node) -> bool {
        let mut changed = false;
        for word in 0..self.words {
            let add = self.bits[source * self.words + word];
            let slot = &mut self.bits[target * self.words + word];
            changed |= add & !*slot != 0;
            *slot |= add;
        }
        changed
    }

    /// Lists the set columns of a row in ascending order.
    ///
    /// Each word is emptied by clearing its lowest set bit repeatedly, so the
    /// cost depends on the bits that are set rather than on the width.
    pub fn row(&self, row: Node) -> impl Iterator<Item = Node> + '_ {
        let words = &self.bits[row * self.words..(row + 1) * self.words];
        words.iter().enumerate().flat_map(|(i, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let low = rest.checked_sub(1)?;
                let column = i * 64 + rest.trailing_zeros() as usize;
                rest &= low;
                Some(column)
            })
        })
    }
}

/// Determines which nodes can be reached by at least one edge.
///
/// The graph is condensed first; component rows are then joined in topological
/// order from the sinks up. A node reaches itself only if it lies on a cycle.
#[must_use]
pub fn transitive_closure(graph: &Digraph) -> BitMatrix {
    let (dag, component) = condensation(graph);
    let mut members = vec![Vec::new(); dag.len()];
    for (node, &c) in component.iter().enumerate() {
        members[c].push(node);
    }
    let cyclic: Vec<bool> = (0..dag.len())
        .map(|c| members[c].len() > 1 || graph.successors(members[c][0]).contains(&members[c][0]))
        .collect();
    let mut closure = BitMatrix::new(graph.len());
    for c in 0..dag.len() {
        let first = members[c][0];
        for &below in dag.successors(c) {
            closure.union_rows(first, members[below][0]);
            for &node in &members[below] {
                closure.insert(first, node);
            }
        }
        if cyclic[c] {
            members[c]
                .iter()
                .for_each(|&node| closure.insert(first, node));
        }
        for &node in &members[c][1..] {
            closure.union_rows(node, first);
        }
    }
    closure
}

/// Drops every edge of an acyclic graph that a longer path makes redundant.
///
/// The result is the unique smallest graph with the same reachability; parallel
/// edges are reduced to one. `None` if the graph has a cycle, for then the
/// answer would not be unique.
///
/// # Examples
///
/// ```
/// use vox_graph::{reach::transitive_reduction, Digraph};
/// let graph = Digraph::from_edges(3, &[(0, 1), (1, 2), (0, 2)]).unwrap();
/// let small = transitive_reduction(&graph).unwrap();
/// assert_eq!(small.edges().collect::<Vec<_>>(), [(0, 1), (1, 2)]);
/// ```
pub fn transitive_reduction(graph: &Digraph) -> Option<Digraph> {
    topological_order(graph).ok()?;
    let closure = transitive_closure(graph);
    let mut edges = Vec::new();
    for node in 0..graph.len() {
        let mut targets = graph.successors(node).to_vec();
        targets.sort_unstable();
        targets.dedup();
        let implied = |t: Node| targets.iter().any(|&mid| closure.contains(mid, t));
        edges.extend(targets.iter().filter(|&&t| !implied(t)).map(|&t| (node, t)));
    }
    Digraph::from_edges(graph.len(), &edges).ok()
}

/// Explains why one module depends on another by a shortest chain of edges.
///
/// The chain starts with `from`, ends with `to` and has at least one edge, so
/// asking for a node's dependence on itself finds a shortest cycle. `None` if
/// there is no such chain.
pub fn shortest_chain(graph: &Digraph, from: Node, to: Node) -> Option<Vec<Node>> {
    let mut came_from: Vec<Option<Node>> = vec![None; graph.len()];
    let mut layer = vec![from];
    while !layer.is_empty() && came_from[to].is_none() {
        let mut next = Vec::new();
        for &node in &layer {
            for &target in graph.successors(node) {
                if came_from[target].is_none() {
                    came_from[target] = Some(node);
                    next.push(target);
                }
            }
        }
        layer = next;
    }
    let mut chain = vec![to];
    let mut at = came_from[to]?;
    while at != from {
        chain.push(at);
        at = came_from[at]?;
    }
    chain.push(from);
    chain.reverse();
    Some(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closure_matches_repeated_squaring() {
        for seed in 0..20 {
            let g = Digraph::from_edges(70, &crate::random_edges(seed, 70, 90))
                .expect("edges in range");
            let mut slow = BitMatrix::new(70);
            g.edges().for_each(|(a, b)| slow.insert(a, b));
            let mut changed = true;
            while changed {
                changed = false;
                for (a, b) in g.edges() {
                    changed |= slow.union_rows(a, b);
                }
            }
            assert_eq!(transitive_closure(&g), slow);
        }
    }

    #[test]
    fn reduction_keeps_reachability() {
        let g = Digraph::from_edges(4, &[(0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (0, 1)])
            .expect("edges in range");
        let reduced = transitive_reduction(&g).expect("acyclic");
        assert_eq!(
            reduced.edges().collect::<Vec<_>>(),
            [(0, 1), (1, 2), (2, 3)]
        );
        assert_eq!(
            transitive_closure(&reduced).row(0).collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    #[test]
    fn chains() {
        let g = Digraph::from_edges(4, &[(0, 1), (1, 2), (2, 0), (2, 3)]).expect("edges in range");
        assert_eq!(shortest_chain(&g, 0, 3), Some(vec![0, 1, 2, 3]));
        assert_eq!(shortest_chain(&g, 1, 1), Some(vec![1, 2, 0, 1]));
        assert_eq!(shortest_chain(&g, 3, 0), None);
    }
}
