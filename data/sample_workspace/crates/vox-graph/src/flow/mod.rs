//! Flows, cuts and matchings.

mod matching;

pub use matching::{max_matching, min_vertex_cover, stable_pairs, Matching};

use crate::Node;
use std::collections::VecDeque;

#[derive(Debug, Clone)]
struct Arc {
    to: Node,
    residual: u64,
}

/// A network of capacities; every arc is stored beside its reverse.
#[derive(Debug, Clone)]
pub struct FlowNetwork {
    arcs: Vec<Arc>,
    out: Vec<Vec<usize>>,
}

impl FlowNetwork {
    /// Makes a network without arcs.
    pub fn new(nodes: usize) -> Self {
        FlowNetwork {
            arcs: Vec::new(),
            out: vec![Vec::new(); nodes],
        }
    }

    /// Adds an arc and its empty reverse.
    ///
    /// Arcs are numbered in pairs, so the reverse of arc `i` is `i ^ 1`. The
    /// even number of the forward arc is returned for later queries.
    pub fn add_arc(&mut self, from: Node, to: Node, capacity: u64) -> usize {
        let id = self.arcs.len();
        self.arcs.push(Arc {
            to,
            residual: capacity,
        });
        self.arcs.push(Arc {
            to: from,
            residual: 0,
        });
        self.out[from].push(id);
        self.out[to].push(id + 1);
        id
    }

    /// The amount that currently runs through an arc.
    pub fn flow(&self, arc: usize) -> u64 {
        self.arcs[arc ^ 1].residual
    }

    /// Pushes as much flow as possible from `source` to `sink`.
    ///
    /// Shortest augmenting paths are saturated one after another (Edmonds and
    /// Karp). The added amount is returned; the flow stays in the network, so a
    /// second call returns zero. Equal source and sink give zero.
    pub fn maximize(&mut self, source: Node, sink: Node) -> u64 {
        let mut total = 0;
        if source == sink {
            return total;
        }
        while let Some(path) = self.augmenting_path(source, sink) {
            let amount = path
                .iter()
                .map(|&a| self.arcs[a].residual)
                .min()
                .unwrap_or(0);
            for arc in path {
                self.arcs[arc].residual -= amount;
                self.arcs[arc ^ 1].residual += amount;
            }
            total += amount;
        }
        total
    }

    /// Looks for a shortest path of arcs that still have residual capacity.
    ///
    /// The result lists arc numbers from sink to source; `None` if the sink is
    /// cut off.
    pub(crate) fn augmenting_path(&self, source: Node, sink: Node) -> Option<Vec<usize>> {
        let mut entered: Vec<Option<usize>> = vec![None; self.out.len()];
        let mut queue = VecDeque::from([source]);
        while let Some(node) = queue.pop_front() {
            for &arc in &self.out[node] {
                let Arc { to, residual } = self.arcs[arc];
                if residual > 0 && to != source && entered[to].is_none() {
                    entered[to] = Some(arc);
                    queue.push_back(to);
                }
            }
        }
        let mut path = Vec::new();
        let mut at = sink;
        while at != source {
            let arc = entered[at]?;
            path.push(arc);
            at = self.arcs[arc ^ 1].to;
        }
        Some(path)
    }

    /// Lists the saturated arcs that separate source and sink after
    /// [`FlowNetwork::maximize`].
    ///
    /// These are the forward arcs from the residual side of the source to the
    /// other side; their capacities add up to the maximum flow. Before a
    /// maximum is reached the list has no meaning.
    pub fn min_cut(&self, source: Node) -> Vec<usize> {
        let mut near = vec![false; self.out.len()];
        near[source] = true;
        let mut stack = vec![source];
        while let Some(node) = stack.pop() {
            for &arc in &self.out[node] {
                let Arc { to, residual } = self.arcs[arc];
                if residual > 0 && !std::mem::replace(&mut near[to], true) {
                    stack.push(to);
                }
            }
        }
        (0..self.arcs.len())
            .step_by(2)
            .filter(|&arc| near[self.arcs[arc ^ 1].to] && !near[self.arcs[arc].to])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flow_equals_cut() {
        let mut net = FlowNetwork::new(6);
        let capacity = [
            (0, 1, 16),
            (0, 2, 13),
            (1, 3, 12),
            (2, 1, 4),
            (3, 2, 9),
            (2, 4, 14),
            (4, 3, 7),
            (3, 5, 20),
            (4, 5, 4),
        ];
        let arcs: Vec<usize> = capacity
            .iter()
            .map(|&(a, b, c)| net.add_arc(a, b, c))
            .collect();
        assert_eq!(net.maximize(0, 5), 23);
        assert_eq!(net.maximize(0, 5), 0);
        let cut = net.min_cut(0);
        let size: u64 = cut.iter().map(|&arc| capacity[arc / 2].2).sum();
        assert_eq!(size, 23);
        assert!(arcs
            .iter()
            .zip(&capacity)
            .all(|(&arc, c)| net.flow(arc) <= c.2));
    }

    #[test]
    fn separated_ends() {
        let mut net = FlowNetwork::new(2);
        assert_eq!(net.maximize(0, 1), 0);
        assert_eq!(net.maximize(1, 1), 0);
        assert!(net.min_cut(0).is_empty());
    }
}
