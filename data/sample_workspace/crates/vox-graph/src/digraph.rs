//! Directed graphs in compressed adjacency form.

use crate::Node;
use std::fmt::{self, Write};

/// A directed graph whose edges are stored in one array, grouped by source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digraph {
    offsets: Vec<usize>,
    targets: Vec<Node>,
}

/// An edge that names a node outside the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadEdge {
    /// Position of the edge in the input.
    pub index: usize,
}

impl fmt::Display for BadEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "edge {} leaves the graph", self.index)
    }
}

impl std::error::Error for BadEdge {}

impl Digraph {
    /// Builds a graph with `nodes` nodes from a list of edges.
    ///
    /// A counting sort groups the edges by source and keeps the input order
    /// within each group, so successor lists come out as they were given.
    ///
    /// # Errors
    ///
    /// [`BadEdge`] with the index of the first edge whose source or target is
    /// not below `nodes`.
    pub fn from_edges(nodes: usize, edges: &[(Node, Node)]) -> Result<Self, BadEdge> {
        if let Some(index) = edges.iter().position(|&(a, b)| a >= nodes || b >= nodes) {
            return Err(BadEdge { index });
        }
        let mut offsets = vec![0; nodes + 1];
        for &(source, _) in edges {
            offsets[source + 1] += 1;
        }
        for node in 0..nodes {
            offsets[node + 1] += offsets[node];
        }
        let mut fill = offsets.clone();
        let mut targets = vec![0; edges.len()];
        for &(source, target) in edges {
            targets[fill[source]] = target;
            fill[source] += 1;
        }
        Ok(Digraph { offsets, targets })
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether the graph has no nodes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The targets of the edges that leave a node.
    pub fn successors(&self, node: Node) -> &[Node] {
        &self.targets[self.offsets[node]..self.offsets[node + 1]]
    }

    /// Walks over all edges, grouped by ascending source.
    ///
    /// Within one source, edges keep the order in which they were given to
    /// [`Digraph::from_edges`]; parallel edges are repeated.
    pub fn edges(&self) -> impl Iterator<Item = (Node, Node)> + '_ {
        (0..self.len()).flat_map(move |source| {
            self.successors(source)
                .iter()
                .map(move |&target| (source, target))
        })
    }

    /// Turns every edge round.
    ///
    /// The successor lists of the result are sorted by node number, whatever
    /// the order was before, because edges are redistributed in source order.
    #[must_use]
    pub fn reversed(&self) -> Digraph {
        let mut offsets = vec![0; self.len() + 1];
        for &target in &self.targets {
            offsets[target + 1] += 1;
        }
        for node in 0..self.len() {
            offsets[node + 1] += offsets[node];
        }
        let mut fill = offsets.clone();
        let mut targets = vec![0; self.targets.len()];
        for (source, target) in self.edges() {
            targets[fill[target]] = source;
            fill[target] += 1;
        }
        Digraph { offsets, targets }
    }

    /// Restricts the graph to the nodes for which `keep` holds.
    ///
    /// Kept nodes are renumbered from zero in their old order. Besides the
    /// smaller graph, the old number of each new node is returned. Edges with a
    /// dropped end disappear.
    pub fn induced<F>(&self, mut keep: F) -> (Digraph, Vec<Node>)
    where
        F: FnMut(Node) -> bool,
    {
        let mut new_number = vec![usize::MAX; self.len()];
        let mut old_number = Vec::new();
        for (node, number) in new_number.iter_mut().enumerate() {
            if keep(node) {
                *number = old_number.len();
                old_number.push(node);
            }
        }
        let mut offsets = vec![0];
        let mut targets = Vec::new();
        for &old in &old_number {
            let kept = self.successors(old).iter().map(|&t| new_number[t]);
            targets.extend(kept.filter(|&t| t != usize::MAX));
            offsets.push(targets.len());
        }
        (Digraph { offsets, targets }, old_number)
    }

    /// Writes the graph in the DOT language.
    ///
    /// Labels come from `label`; quotes and backslashes in them are escaped.
    /// Nodes are listed before edges so that isolated ones show up, and edges
    /// that occur several times are drawn once with their multiplicity.
    pub fn to_dot(&self, name: &str, label: impl Fn(Node) -> String) -> String {
        let mut out = format!("digraph {name} {{\n");
        for node in 0..self.len() {
            let text = label(node).replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(out, "  n{node} [label=\"{text}\"];");
        }
        for source in 0..self.len() {
            let mut targets = self.successors(source).to_vec();
            targets.sort_unstable();
            for run in targets.chunk_by(|a, b| a == b) {
                let _ = match run.len() {
                    1 => writeln!(out, "  n{source} -> n{};", run[0]),
                    n => writeln!(out, "  n{source} -> n{} [label=\"{n}\"];", run[0]),
                };
            }
        }
        out.push_str("}\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn construction_and_reversal() {
        let edges = [(2, 0), (0, 1), (2, 1), (0, 1)];
        let g = Digraph::from_edges(3, &edges).expect("edges in range");
        assert_eq!(g.successors(2), [0, 1]);
        assert_eq!(g.reversed().successors(1), [0, 0, 2]);
        assert_eq!(g.reversed().reversed().edges().count(), 4);
        assert_eq!(
            Digraph::from_edges(1, &[(0, 0), (0, 1)]),
            Err(BadEdge { index: 1 })
        );
    }

    #[test]
    fn restriction() {
        let g = Digraph::from_edges(4, &[(0, 1), (1, 3), (3, 0), (2, 3)]).expect("edges in range");
        let (small, old) = g.induced(|n| n != 1);
        assert_eq!(old, [0, 2, 3]);
        assert_eq!(small.edges().collect::<Vec<_>>(), [(1, 2), (2, 0)]);
    }

    #[test]
    fn dot_output() {
        let g = Digraph::from_edges(2, &[(0, 1), (0, 1)]).expect("edges in range");
        let dot = g.to_dot("g", |n| format!("\"{n}\""));
        assert!(dot.contains("n0 [label=\"\\\"0\\\"\"];"));
        assert!(dot.contains("n0 -> n1 [label=\"2\"];"));
    }
}
