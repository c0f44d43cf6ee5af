//! Orders and components of directed graphs.

use crate::{Digraph, Node};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Sorts the nodes so that every edge points forward.
///
/// Of the nodes that are ready the smallest comes first, so the result is the
/// lexicographically least order and does not depend on edge order.
///
/// # Errors
///
/// If the graph has a cycle, some cycle is returned as a list of nodes in which
/// each has an edge to the next and the last one to the first.
pub fn topological_order(graph: &Digraph) -> Result<Vec<Node>, Vec<Node>> {
    let mut incoming = vec![0usize; graph.len()];
    for (_, target) in graph.edges() {
        incoming[target] += 1;
    }
    let mut ready: BinaryHeap<Reverse<Node>> = (0..graph.len())
        .filter(|&n| incoming[n] == 0)
        .map(Reverse)
        .collect();
    let mut order = Vec::with_capacity(graph.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for &next in graph.successors(node) {
            incoming[next] -= 1;
            if incoming[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    if order.len() == graph.len() {
        Ok(order)
    } else {
        Err(trace_cycle(graph, &incoming))
    }
}

/// Finds a cycle among the nodes that a topological sort could not release.
///
/// Every such node has a predecessor of the same sort, so walking backward must
/// come to a node a second time; the part of the trail in between, turned round, is
/// the cycle. Empty if all `incoming` counts are zero.
fn trace_cycle(graph: &Digraph, incoming: &[usize]) -> Vec<Node> {
    let back = graph.reversed();
    let stuck = |n: &Node| incoming[*n] > 0;
    let mut position = vec![usize::MAX; graph.len()];
    let mut trail = Vec::new();
    let mut at = (0..graph.len()).find(stuck);
    while let Some(node) = at {
        if position[node] != usize::MAX {
            let mut cycle = trail.split_off(position[node]);
            cycle.reverse();
            return cycle;
        }
        position[node] = trail.len();
        trail.push(node);
        at = back.successors(node).iter().copied().find(stuck);
    }
    Vec::new()
}

/// Assigns every node the number of its strongly connected component.
///
/// Tarjan's algorithm runs with an explicit stack, so deep graphs cannot
/// overflow the call stack. Components are numbered in reverse topological
/// order: an edge between different components leads to a smaller number.
/// Returns the numbering and the count of components.
#[must_use]
pub fn strong_components(graph: &Digraph) -> (Vec<usize>, usize) {
    const UNSEEN: usize = usize::MAX;
    let n = graph.len();
    let (mut index, mut low) = (vec![UNSEEN; n], vec![0; n]);
    let mut component = vec![UNSEEN; n];
    let (mut clock, mut count) = (0, 0);
    let mut open = Vec::new();
    for root in 0..n {
        if index[root] != UNSEEN {
            continue;
        }
        let mut calls = vec![(root, 0)];
        while let Some(&mut (node, ref mut edge)) = calls.last_mut() {
            if *edge == 0 {
                index[node] = clock;
                low[node] = clock;
                clock += 1;
                open.push(node);
            }
            if let Some(&next) = graph.successors(node).get(*edge) {
                *edge += 1;
                if index[next] == UNSEEN {
                    calls.push((next, 0));
                } else if component[next] == UNSEEN {
                    low[node] = low[node].min(index[next]);
                }
                continue;
            }
            calls.pop();
            if let Some(&(parent, _)) = calls.last() {
                low[parent] = low[parent].min(low[node]);
            }
            if low[node] == index[node] {
                while let Some(member) = open.pop() {
                    component[member] = count;
                    if member == node {
                        break;
                    }
                }
                count += 1;
            }
        }
    }
    (component, count)
}

/// Contracts each strongly connected component to one node.
///
/// The result is acyclic and has neither self-loops nor parallel edges; its
/// nodes carry the numbers of [`strong_components`], which are returned along
/// with it.
#[must_use]
pub fn condensation(graph: &Digraph) -> (Digraph, Vec<usize>) {
    let (component, count) = strong_components(graph);
    let mut edges: Vec<(Node, Node)> = graph
        .edges()
        .map(|(a, b)| (component[a], component[b]))
        .filter(|(a, b)| a != b)
        .collect();
    edges.sort_unstable();
    edges.dedup();
    match Digraph::from_edges(count, &edges) {
        Ok(contracted) => (contracted, component),
        Err(_) => unreachable!("component numbers are below their count"),
    }
}

/// Lists the nodes reachable from `root` in depth-first postorder.
///
/// Successors are visited in their stored order; a node appears after all nodes
/// first reached through it, so the root is last. Reversing the list gives the
/// order that dataflow passes iterate in.
pub fn postorder(graph: &Digraph, root: Node) -> Vec<Node> {
    let mut seen = vec![false; graph.len()];
    let mut order = Vec::new();
    let mut stack = vec![(root, 0)];
    seen[root] = true;
    while let Some((node, edge)) = stack.pop() {
        match graph.successors(node).get(edge) {
            Some(&next) => {
                stack.push((node, edge + 1));
                if !seen[next] {
                    seen[next] = true;
                    stack.push((next, 0));
                }
            }
            None => order.push(node),
        }
    }
    order
}

/// Groups a build order into batches that can run side by side.
///
/// Every node is put in the batch after the latest of its predecessors, and no
/// batch holds more than `width` nodes (at least one); surplus nodes wait for
/// the next batch, those with the longest chain of successors going first.
/// `None` if the graph has a cycle.
pub fn parallel_batches(graph: &Digraph, width: usize) -> Option<Vec<Vec<Node>>> {
    let order = topological_order(graph).ok()?;
    let mut chain = vec![0usize; graph.len()];
    for &node in order.iter().rev() {
        let longest = graph.successors(node).iter().map(|&s| chain[s] + 1).max();
        chain[node] = longest.unwrap_or(0);
    }
    let mut waiting = vec![0usize; graph.len()];
    for (_, target) in graph.edges() {
        waiting[target] += 1;
    }
    let mut ready: Vec<Node> = order.into_iter().filter(|&n| waiting[n] == 0).collect();
    let mut batches = Vec::new();
    while !ready.is_empty() {
        ready.sort_by_key(|&n| (Reverse(chain[n]), n));
        let rest = ready.split_off(ready.len().min(width.max(1)));
        let batch = std::mem::replace(&mut ready, rest);
        for &node in &batch {
            for &next in graph.successors(node) {
                waiting[next] -= 1;
                if waiting[next] == 0 {
                    ready.push(next);
                }
            }
        }
        batches.push(batch);
    }
    Some(batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: usize, edges: &[(Node, Node)]) -> Digraph {
        Digraph::from_edges(nodes, edges).expect("edges in range")
    }

    #[test]
    fn sorting_and_cycles() {
        assert_eq!(
            topological_order(&graph(4, &[(3, 1), (1, 0)])),
            Ok(vec![2, 3, 1, 0])
        );
        let g = graph(5, &[(0, 1), (1, 2), (2, 3), (3, 1), (3, 4)]);
        let cycle = topological_order(&g).expect_err("has a cycle");
        assert_eq!(cycle.len(), 3);
        for (i, &node) in cycle.iter().enumerate() {
            assert!(g.successors(node).contains(&cycle[(i + 1) % cycle.len()]));
        }
    }

    #[test]
    fn components_agree_with_reachability() {
        for seed in 0..30 {
            let g = graph(12, &crate::random_edges(seed, 12, 18));
            let (component, _) = strong_components(&g);
            let closure = crate::reach::transitive_closure(&g);
            for a in 0..12 {
                for b in 0..12 {
                    let mutual = a == b || closure.contains(a, b) && closure.contains(b, a);
                    assert_eq!(component[a] == component[b], mutual);
                }
            }
            let (dag, _) = condensation(&g);
            assert!(dag.edges().all(|(a, b)| b < a));
        }
    }

    #[test]
    fn postorder_ends_at_the_root() {
        let g = graph(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
        assert_eq!(postorder(&g, 0), [3, 1, 2, 0]);
    }

    #[test]
    fn batches() {
        let g = graph(5, &[(0, 3), (3, 4)]);
        assert_eq!(
            parallel_batches(&g, 2),
            Some(vec![vec![0, 1], vec![3, 2], vec![4]])
        );
        assert_eq!(parallel_batches(&graph(1, &[(0, 0)]), 1), None);
    }
}
