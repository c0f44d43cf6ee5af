//! Shortest paths.

mod grid;
mod weighted;

pub use grid::{astar_grid, Cell};
pub use weighted::{
    all_pairs, bellman_ford, shortest_tree, widest_path, ShortestTree, WeightedGraph,
};

use crate::{Digraph, Node};
use std::collections::VecDeque;

/// Measures the number of edges from the nearest source to every node.
///
/// All sources start at distance zero and the search spreads from them at once.
/// Unreachable nodes are `None`; with no sources everything is unreachable.
#[must_use]
pub fn hop_distances(graph: &Digraph, sources: &[Node]) -> Vec<Option<usize>> {
    let mut distance = vec![None; graph.len()];
    let mut queue = VecDeque::new();
    for &source in sources {
        if distance[source].is_none() {
            distance[source] = Some(0);
            queue.push_back((source, 0));
        }
    }
    while let Some((node, hops)) = queue.pop_front() {
        for &next in graph.successors(node) {
            if distance[next].is_none() {
                distance[next] = Some(hops + 1);
                queue.push_back((next, hops + 1));
            }
        }
    }
    distance
}

/**
Counts the distinct paths between two nodes of an acyclic graph.

Paths that differ in a parallel edge count separately, and the empty path
from a node to itself counts as one. `None` if the graph has a cycle or the
number does not fit a `u64`.
*/
pub fn count_paths(graph: &Digraph, from: Node, to: Node) -> Option<u64> {
    let order = crate::order::topological_order(graph).ok()?;
    let mut ways = vec![0u64; graph.len()];
    ways[from] = 1;
    for node in order {
        if node == to {
            break;
        }
        for &next in graph.successors(node) {
            ways[next] = ways[next].checked_add(ways[node])?;
        }
    }
    Some(ways[to])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_from_several_sources() {
        let g = Digraph::from_edges(5, &[(0, 1), (1, 2), (3, 2)]).expect("edges in range");
        assert_eq!(
            hop_distances(&g, &[0, 3]),
            [Some(0), Some(1), Some(1), Some(0), None]
        );
    }

    #[test]
    fn path_counts() {
        let g = Digraph::from_edges(4, &[(0, 1), (0, 2), (1, 3), (2, 3), (2, 3)])
            .expect("edges in range");
        assert_eq!(count_paths(&g, 0, 3), Some(3));
        assert_eq!(count_paths(&g, 3, 0), Some(0));
        assert_eq!(count_paths(&g, 1, 1), Some(1));
    }
}
