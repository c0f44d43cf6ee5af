//! Shortest and widest paths over weighted edges.

use crate::Node;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A directed graph with an unsigned cost on each edge.
#[derive(Debug, Clone, Default)]
pub struct WeightedGraph {
    out: Vec<Vec<(Node, u64)>>,
}

/// Costs and predecessors found from one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortestTree {
    /// Cheapest cost per node; `None` where there is no path.
    pub cost: Vec<Option<u64>>,
    /// The node before each one on its cheapest path.
    pub via: Vec<Option<Node>>,
}

impl WeightedGraph {
    /// Makes a graph without edges.
    pub fn new(nodes: usize) -> Self {
        WeightedGraph {
            out: vec![Vec::new(); nodes],
        }
    }

    /// Adds an edge, or lowers its cost if a dearer parallel one exists.
    ///
    /// Nodes are created as needed, so the graph grows to hold both ends.
    /// Returns whether the graph changed.
    pub fn connect(&mut self, from: Node, to: Node, cost: u64) -> bool {
        let needed = from.max(to) + 1;
        if self.out.len() < needed {
            self.out.resize(needed, Vec::new());
        }
        match self.out[from].iter_mut().find(|(node, _)| *node == to) {
            Some((_, old)) if *old <= cost => false,
            Some((_, old)) => {
                *old = cost;
                true
            }
            None => {
                self.out[from].push((to, cost));
                true
            }
        }
    }
}

/// Runs Dijkstra's algorithm from one source.
///
/// Outdated heap entries are skipped when they surface, so no decrease-key is
/// needed. Sums saturate at `u64::MAX`. Among equally cheap paths the first
/// one found is kept.
#[must_use]
pub fn shortest_tree(graph: &WeightedGraph, source: Node) -> ShortestTree {
    let n = graph.out.len();
    let mut cost = vec![None; n];
    let mut via = vec![None; n];
    let mut heap = BinaryHeap::new();
    if source < n {
        cost[source] = Some(0);
        heap.push(Reverse((0u64, source)));
    }
    while let Some(Reverse((so_far, node))) = heap.pop() {
        if cost[node] != Some(so_far) {
            continue;
        }
        for &(next, weight) in &graph.out[node] {
            let total = so_far.saturating_add(weight);
            if cost[next].is_none_or(|old| total < old) {
                cost[next] = Some(total);
                via[next] = Some(node);
                heap.push(Reverse((total, next)));
            }
        }
    }
    ShortestTree { cost, via }
}

impl ShortestTree {
    /// Spells out the cheapest path to a node, source first.
    ///
    /// The path to the source is the source alone. `None` if the node cannot be
    /// reached or does not exist.
    pub fn path_to(&self, node: Node) -> Option<Vec<Node>> {
        (*self.cost.get(node)?)?;
        let mut path = vec![node];
        let mut at = node;
        while let Some(before) = self.via[at] {
            path.push(before);
            at = before;
        }
        path.reverse();
        Some(path)
    }
}

/// Finds cheapest costs when edges may have negative weight.
///
/// All edges `(from, to, weight)` are relaxed up to one time less than there
/// are nodes; unreachable nodes are `None`.
///
/// # Errors
///
/// If a cycle of negative total weight can be reached from the source, a node
/// whose cost would still fall is returned.
pub fn bellman_ford(
    nodes: usize,
    edges: &[(Node, Node, i64)],
    source: Node,
) -> Result<Vec<Option<i64>>, Node> {
    let mut cost: Vec<Option<i64>> = vec![None; nodes];
    cost[source] = Some(0);
    for round in 0..nodes {
        let mut changed = None;
        for &(from, to, weight) in edges {
            let Some(base) = cost[from] else {
                continue;
            };
            let total = base.saturating_add(weight);
            if cost[to].is_none_or(|old| total < old) {
                cost[to] = Some(total);
                changed = Some(to);
            }
        }
        match changed {
            None => break,
            Some(node) if round + 1 == nodes => return Err(node),
            Some(_) => {}
        }
    }
    Ok(cost)
}

/// Fills a matrix of cheapest costs between all pairs in place.
///
/// `matrix[i][j]` holds the cost of the direct edge or `None`. The Floyd and
/// Warshall recurrence allows each node in turn as an intermediate stop; the
/// diagonal becomes at most zero. Returns `false` when a negative cycle was
/// met, which shows as a negative diagonal entry.
pub fn all_pairs(matrix: &mut [Vec<Option<i64>>]) -> bool {
    let n = matrix.len();
    for (i, row) in matrix.iter_mut().enumerate() {
        row[i] = Some(row[i].map_or(0, |d| d.min(0)));
    }
    for mid in 0..n {
        let through = matrix[mid].clone();
        for row in matrix.iter_mut() {
            let Some(head) = row[mid] else {
                continue;
            };
            for (best, tail) in row.iter_mut().zip(&through) {
                if let Some(tail) = tail {
                    let total = head.saturating_add(*tail);
                    if best.is_none_or(|old| total < old) {
                        *best = Some(total);
                    }
                }
            }
        }
    }
    (0..n).all(|i| matrix[i][i].is_none_or(|d| d >= 0))
}

/// Maximises the narrowest edge on a path between two nodes.
///
/// Works like Dijkstra's search with "minimum of the widths so far" in place of
/// a sum and a max-heap. The path from a node to itself is unlimited,
/// `u64::MAX`. `None` if there is no path.
pub fn widest_path(graph: &WeightedGraph, from: Node, to: Node) -> Option<u64> {
    let mut width = vec![0u64; graph.out.len()];
    *width.get_mut(from)? = u64::MAX;
    let mut heap = BinaryHeap::from([(u64::MAX, from)]);
    while let Some((current, node)) = heap.pop() {
        if node == to {
            return Some(current);
        }
        if current < width[node] {
            continue;
        }
        for &(next, limit) in &graph.out[node] {
            let through = current.min(limit);
            if through > width[next] {
                width[next] = through;
                heap.push((through, next));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> WeightedGraph {
        let mut g = WeightedGraph::new(5);
        for (a, b, w) in [(0, 1, 4), (0, 2, 1), (2, 1, 2), (1, 3, 5), (2, 3, 9)] {
            assert!(g.connect(a, b, w));
        }
        assert!(!g.connect(0, 2, 8));
        g
    }

    #[test]
    fn cheapest_paths() {
        let tree = shortest_tree(&sample(), 0);
        assert_eq!(tree.cost, [Some(0), Some(3), Some(1), Some(8), None]);
        assert_eq!(tree.path_to(3), Some(vec![0, 2, 1, 3]));
        assert_eq!(tree.path_to(4), None);
        assert_eq!(tree.path_to(9), None);
    }

    #[test]
    fn negative_weights() {
        let edges = [(0, 1, 4), (0, 2, 5), (2, 1, -3)];
        assert_eq!(
            bellman_ford(4, &edges, 0),
            Ok(vec![Some(0), Some(2), Some(5), None])
        );
        let looped = [(0, 1, 1), (1, 2, -2), (2, 1, 1)];
        assert!(bellman_ford(3, &looped, 0).is_err());
    }

    #[test]
    fn all_pairs_agrees_with_single_source() {
        let g = sample();
        let mut matrix = vec![vec![None; 5]; 5];
        for (from, out) in g.out.iter().enumerate() {
            for &(to, w) in out {
                matrix[from][to] = Some(w as i64);
            }
        }
        assert!(all_pairs(&mut matrix));
        for (source, costs) in matrix.iter().enumerate() {
            let tree = shortest_tree(&g, source);
            let row: Vec<Option<u64>> = costs.iter().map(|c| c.map(|c| c as u64)).collect();
            assert_eq!(tree.cost, row);
        }
    }

    #[test]
    fn widths() {
        assert_eq!(widest_path(&sample(), 0, 3), Some(4));
        assert_eq!(widest_path(&sample(), 0, 4), None);
        assert_eq!(widest_path(&sample(), 2, 2), Some(u64::MAX));
    }
}
