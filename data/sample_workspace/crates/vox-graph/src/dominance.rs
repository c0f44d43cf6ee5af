//! Dominators of flow graphs.

use crate::order::postorder;
use crate::{Digraph, Node};

/// The dominator tree of the nodes reachable from a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomTree {
    root: Node,
    parent: Vec<Option<Node>>,
}

impl DomTree {
    /// Computes immediate dominators by iterating to a fixed point.
    ///
    /// Nodes are visited in reverse postorder; the dominator of a node is the
    /// meeting point of its processed predecessors, found by climbing the
    /// partial tree along postorder numbers. Unreachable nodes get no dominator
    /// and are ignored as predecessors.
    ///
    /// # Panics
    ///
    /// If `root` is not a node of the graph.
    #[must_use]
    pub fn new(graph: &Digraph, root: Node) -> DomTree {
        let order = postorder(graph, root);
        let mut number = vec![usize::MAX; graph.len()];
        for (i, &node) in order.iter().enumerate() {
            number[node] = i;
        }
        let back = graph.reversed();
        let mut parent: Vec<Option<Node>> = vec![None; graph.len()];
        parent[root] = Some(root);
        let mut changed = true;
        while changed {
            changed = false;
            for &node in order.iter().rev().filter(|&&n| n != root) {
                let mut meet: Option<Node> = None;
                for &pred in back.successors(node) {
                    if parent[pred].is_none() {
                        continue;
                    }
                    meet = Some(match meet {
                        None => pred,
                        Some(other) => climb(&parent, &number, other, pred),
                    });
                }
                if meet != parent[node] {
                    parent[node] = meet;
                    changed = true;
                }
            }
        }
        DomTree { root, parent }
    }

    /// The immediate dominator; `None` for the root and for unreachable nodes.
    pub fn immediate(&self, node: Node) -> Option<Node> {
        self.parent[node].filter(|_| node != self.root)
    }

    /// Tells whether every path from the root to `node` passes through `by`.
    ///
    /// Each reachable node dominates itself. The answer is `false` whenever
    /// `node` is unreachable, since then there is no path to speak of.
    #[must_use]
    pub fn dominates(&self, by: Node, node: Node) -> bool {
        if self.parent[node].is_none() {
            return false;
        }
        let mut at = node;
        loop {
            if at == by {
                return true;
            }
            match self.immediate(at) {
                Some(above) => at = above,
                None => return false,
            }
        }
    }

    /// Finds the deepest node that dominates both arguments.
    ///
    /// The ancestors of the first node are marked, then the second is followed
    /// upward until a mark is met. `None` if either node is unreachable.
    pub fn common(&self, a: Node, b: Node) -> Option<Node> {
        self.parent[a]?;
        self.parent[b]?;
        let mut marked = vec![false; self.parent.len()];
        let mut at = Some(a);
        while let Some(node) = at {
            marked[node] = true;
            at = self.immediate(node);
        }
        let mut at = Some(b);
        while let Some(node) = at {
            if marked[node] {
                return Some(node);
            }
            at = self.immediate(node);
        }
        None
    }

    /// Computes the dominance frontier of every node.
    ///
    /// Node `j` belongs to the frontier of `n` when `n` dominates some
    /// predecessor of `j` without strictly dominating `j`: the places where
    /// values defined in `n` meet others. The lists are sorted.
    pub fn frontiers(&self, graph: &Digraph) -> Vec<Vec<Node>> {
        let mut frontier = vec![Vec::new(); graph.len()];
        for (pred, join) in graph.edges() {
            if self.parent[pred].is_none() {
                continue;
            }
            let stop = self.immediate(join);
            let mut at = Some(pred);
            while let Some(node) = at.filter(|_| at != stop) {
                frontier[node].push(join);
                at = self.immediate(node);
            }
        }
        for list in &mut frontier {
            list.sort_unstable();
            list.dedup();
        }
        frontier
    }
}

/// Climbs from two nodes to their nearest common ancestor in a partial tree.
///
/// `number` holds postorder numbers, which grow toward the root; whichever node
/// has the smaller number moves to its parent until both are the same.
pub(crate) fn climb(parent: &[Option<Node>], number: &[usize], a: Node, b: Node) -> Node {
    let (mut a, mut b) = (a, b);
    while a != b {
        if number[a] < number[b] {
            a = parent[a].unwrap_or(b);
        } else {
            b = parent[b].unwrap_or(a);
        }
    }
    a
}

/// Finds the natural loops of a flow graph.
///
/// Every edge to a dominator of its source closes a loop; the body is gathered
/// backward from that edge up to the header, leaving unreachable nodes out. Loops
/// with the same header are merged. The result pairs each header with its sorted
/// body, header included, ordered by header.
#[must_use]
pub fn natural_loops(graph: &Digraph, tree: &DomTree) -> Vec<(Node, Vec<Node>)> {
    let back = graph.reversed();
    let mut loops = Vec::new();
    for header in 0..graph.len() {
        let latches: Vec<Node> = back
            .successors(header)
            .iter()
            .copied()
            .filter(|&n| tree.dominates(header, n))
            .collect();
        if latches.is_empty() {
            continue;
        }
        let mut inside = vec![false; graph.len()];
        inside[header] = true;
        let mut stack = latches;
        while let Some(node) = stack.pop() {
            if !std::mem::replace(&mut inside[node], true) {
                stack.extend(back.successors(node));
            }
        }
        let body = (0..graph.len())
            .filter(|&n| inside[n] && tree.dominates(header, n))
            .collect();
        loops.push((header, body));
    }
    loops
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diamond() -> Digraph {
        // 0 -> 1 -> {2, 3} -> 4 -> 1, 4 -> 5; 6 is unreachable
        let edges = [
            (0, 1),
            (1, 2),
            (1, 3),
            (2, 4),
            (3, 4),
            (4, 1),
            (4, 5),
            (6, 4),
        ];
        Digraph::from_edges(7, &edges).expect("edges in range")
    }

    #[test]
    fn tree_and_frontiers() {
        let g = diamond();
        let tree = DomTree::new(&g, 0);
        assert_eq!(tree.immediate(4), Some(1));
        assert_eq!(tree.immediate(6), None);
        assert!(tree.dominates(1, 5) && !tree.dominates(2, 4) && !tree.dominates(6, 6));
        assert_eq!(tree.common(2, 5), Some(1));
        assert_eq!(tree.common(2, 6), None);
        let frontiers = tree.frontiers(&g);
        assert_eq!(frontiers[2], [4]);
        assert_eq!(frontiers[4], [1]);
        assert_eq!(frontiers[1], [1]);
    }

    #[test]
    fn loops() {
        let g = diamond();
        let tree = DomTree::new(&g, 0);
        assert_eq!(natural_loops(&g, &tree), [(1, vec![1, 2, 3, 4])]);
    }

    #[test]
    fn dominance_matches_node_removal() {
        for seed in 0..25 {
            let g =
                Digraph::from_edges(9, &crate::random_edges(seed, 9, 16)).expect("edges in range");
            let tree = DomTree::new(&g, 0);
            let reachable = postorder(&g, 0);
            for &by in reachable.iter().filter(|&&n| n != 0) {
                let (cut, old) = g.induced(|n| n != by);
                let left: Vec<Node> = postorder(&cut, 0).into_iter().map(|n| old[n]).collect();
                for &node in &reachable {
                    assert_eq!(tree.dominates(by, node), !left.contains(&node));
                }
            }
        }
    }
}
