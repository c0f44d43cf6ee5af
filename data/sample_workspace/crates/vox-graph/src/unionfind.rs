//! Disjoint sets and what is built on them.

use crate::Node;

/// A partition of the numbers below `len` that can only get coarser.
#[derive(Debug, Clone)]
pub struct UnionFind {
    parent: Vec<Node>,
    size: Vec<usize>,
}

impl UnionFind {
    /// Puts each number in a set of its own.
    pub fn new(len: usize) -> Self {
        UnionFind {
            parent: (0..len).collect(),
            size: vec![1; len],
        }
    }

    /// Returns the representative of a number's set.
    ///
    /// While climbing, every second link is redirected to the grandparent, which
    /// keeps the trees flat without a second pass or recursion.
    pub fn find(&mut self, node: Node) -> Node {
        let mut at = node;
        while self.parent[at] != at {
            let above = self.parent[self.parent[at]];
            self.parent[at] = above;
            at = above;
        }
        at
    }

    /// Merges the sets of two numbers.
    ///
    /// The smaller tree is hung below the larger one's root, the second
    /// argument's below the first's when they are equal. Returns `false` if the
    /// two were already together.
    pub fn union(&mut self, a: Node, b: Node) -> bool {
        let (mut big, mut small) = (self.find(a), self.find(b));
        if big == small {
            return false;
        }
        if self.size[big] < self.size[small] {
            std::mem::swap(&mut big, &mut small);
        }
        self.parent[small] = big;
        self.size[big] += self.size[small];
        true
    }

    /// Collects the sets, each sorted, ordered by their smallest member.
    #[must_use]
    pub fn groups(&mut self) -> Vec<Vec<Node>> {
        let mut slot = vec![usize::MAX; self.parent.len()];
        let mut groups: Vec<Vec<Node>> = Vec::new();
        for node in 0..self.parent.len() {
            let root = self.find(node);
            if slot[root] == usize::MAX {
                slot[root] = groups.len();
                groups.push(Vec::new());
            }
            groups[slot[root]].push(node);
        }
        groups
    }
}

/// Chooses the cheapest edges that connect what can be connected.
///
/// Kruskal's rule: edges `(a, b, weight)` are taken by rising weight, input
/// order on ties, whenever they join two different trees. The indices of the
/// chosen edges are returned in that order. A disconnected graph yields a
/// spanning forest.
#[doc = ""]
#[doc = "Weights that do not compare, such as a NaN, are taken as equal to"]
#[doc = "whatever they meet; the result then spans but need not be cheapest."]
#[must_use]
pub fn spanning_forest<W>(nodes: usize, edges: &[(Node, Node, W)]) -> Vec<usize>
where
    W: PartialOrd,
{
    let mut order: Vec<usize> = (0..edges.len()).collect();
    order.sort_by(|&x, &y| {
        edges[x]
            .2
            .partial_cmp(&edges[y].2)
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut sets = UnionFind::new(nodes);
    order.retain(|&i| sets.union(edges[i].0, edges[i].1));
    order
}

/// Splits points into clusters by cutting the longest links of their spanning
/// tree.
///
/// `distance` must be symmetric. The tree's longest edges are left out until
/// `clusters` groups remain (at least one, at most one per point); this is
/// single-linkage clustering. Groups are ordered by their smallest member.
pub fn single_linkage<F>(points: usize, clusters: usize, distance: F) -> Vec<Vec<Node>>
where
    F: Fn(Node, Node) -> f64,
{
    let mut edges = Vec::new();
    for a in 0..points {
        for b in a + 1..points {
            edges.push((a, b, distance(a, b)));
        }
    }
    let tree = spanning_forest(points, &edges);
    let keep = points.saturating_sub(clusters.max(1));
    let mut sets = UnionFind::new(points);
    for &edge in tree.iter().take(keep) {
        sets.union(edges[edge].0, edges[edge].1);
    }
    sets.groups()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging() {
        let mut sets = UnionFind::new(6);
        assert!(sets.union(4, 5) && sets.union(0, 4) && !sets.union(5, 0));
        assert_eq!(sets.groups(), [vec![0, 4, 5], vec![1], vec![2], vec![3]]);
        assert_eq!(sets.find(0), sets.find(5));
    }

    #[test]
    fn cheapest_forest() {
        let edges = [(0, 1, 5), (1, 2, 1), (0, 2, 2), (3, 4, 9)];
        assert_eq!(spanning_forest(5, &edges), [1, 2, 3]);
    }

    #[test]
    fn clusters_on_a_line() {
        let at = [0.0f64, 1.0, 10.0, 11.5, 30.0];
        let groups = single_linkage(5, 3, |a, b| (at[a] - at[b]).abs());
        assert_eq!(groups, [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(single_linkage(0, 2, |_, _| 0.0).len(), 0);
    }
}
