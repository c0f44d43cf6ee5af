//! Layered drawing of acyclic graphs.

use crate::order::topological_order;
use crate::{Digraph, Node};

/// Puts each node on the layer below its deepest predecessor.
///
/// Sources are on layer 0, so the layer of a node is the length of the longest
/// path that leads to it. `None` if the graph has a cycle.
#[must_use]
pub fn longest_path_layers(graph: &Digraph) -> Option<Vec<usize>> {
    let mut layer = vec![0; graph.len()];
    for node in topological_order(graph).ok()? {
        for &next in graph.successors(node) {
            layer[next] = layer[next].max(layer[node] + 1);
        }
    }
    Some(layer)
}

/// Finds edges whose reversal makes the graph acyclic.
///
/// This is the greedy heuristic of Eades, Lin and Smyth: sinks are moved to the
/// end of an order, sources to its front, and otherwise the node with the
/// largest surplus of outgoing edges goes to the front. Edges that point
/// backward in the final order are returned; self-loops always are among them.
pub fn feedback_edges(graph: &Digraph) -> Vec<(Node, Node)> {
    let n = graph.len();
    let back = graph.reversed();
    let mut gone = vec![false; n];
    let (mut front, mut rear) = (Vec::new(), Vec::new());
    while front.len() + rear.len() < n {
        let degree = |g: &Digraph, v: Node| {
            g.successors(v)
                .iter()
                .filter(|&&t| t != v && !gone[t])
                .count() as i64
        };
        let left = || (0..n).filter(|&v| !gone[v]);
        let sink = left().find(|&v| degree(graph, v) == 0);
        let pick = left()
            .find(|&v| degree(&back, v) == 0)
            .or_else(|| left().max_by_key(|&v| (degree(graph, v) - degree(&back, v), n - v)));
        if let Some(v) = sink {
            rear.push(v);
            gone[v] = true;
        } else if let Some(v) = pick {
            front.push(v);
            gone[v] = true;
        }
    }
    let mut place = vec![0; n];
    for (i, &v) in front.iter().chain(rear.iter().rev()).enumerate() {
        place[v] = i;
    }
    graph
        .edges()
        .filter(|&(a, b)| place[a] >= place[b])
        .collect()
}

/// Counts how many pairs of edges cross between two adjacent layers.
///
/// Edges are given as positions on the upper and the lower layer. After sorting
/// by upper position, crossings are inversions of the lower positions, counted
/// with a Fenwick tree. Edges that share an end do not cross.
///
/// # Examples
///
/// ```
/// use vox_graph::layers::count_crossings;
/// assert_eq!(count_crossings(&[(0, 2), (1, 0), (2, 1)]), 2);
/// ```
#[must_use]
pub fn count_crossings(edges: &[(usize, usize)]) -> usize {
    let mut sorted = edges.to_vec();
    sorted.sort_unstable();
    let width = sorted.iter().map(|e| e.1 + 1).max().unwrap_or(0);
    let mut tree = vec![0usize; width + 1];
    let mut crossings = 0;
    for (placed, &(_, lower)) in sorted.iter().enumerate() {
        let mut not_right = 0;
        let mut i = lower + 1;
        while i > 0 {
            not_right += tree[i];
            i &= i - 1;
        }
        crossings += placed - not_right;
        let mut i = lower + 1;
        while i <= width {
            tree[i] += 1;
            i += i & i.wrapping_neg();
        }
    }
    crossings
}

/// Reorders a layer by the mean position of each node's neighbours above.
///
/// `above[i]` lists the upper positions that the `i`-th node of the layer is
/// linked to. The returned permutation gives the old indices in their new
/// order. Nodes without neighbours keep their own index as their mean, and equal
/// means keep the old order.
pub fn barycenter_order(above: &[Vec<usize>]) -> Vec<usize> {
    let mean = |i: usize| {
        let links = &above[i];
        if links.is_empty() {
            i as f64
        } else {
            links.iter().sum::<usize>() as f64 / links.len() as f64
        }
    };
    let mut order: Vec<(f64, usize)> = (0..above.len()).map(|i| (mean(i), i)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    order.into_iter().map(|(_, i)| i).collect()
}

/// Splits edges that span several layers with placeholder nodes.
///
/// `layer` must rise along every edge. For an edge that climbs `k` layers,
/// `k - 1` new nodes are appended to the graph. Returns the new graph, in which
/// every edge joins adjacent layers, and the layers of all its nodes; `None` if
/// some edge does not rise or `layer` has the wrong length.
pub fn split_long_edges(graph: &Digraph, layer: &[usize]) -> Option<(Digraph, Vec<usize>)> {
    if layer.len() != graph.len() {
        return None;
    }
    let mut layers = layer.to_vec();
    let mut edges = Vec::new();
    for (source, target) in graph.edges() {
        if layer[target] <= layer[source] {
            return None;
        }
        let mut at = source;
        for level in layer[source] + 1..layer[target] {
            let dummy = layers.len();
            layers.push(level);
            edges.push((at, dummy));
            at = dummy;
        }
        edges.push((at, target));
    }
    let split = Digraph::from_edges(layers.len(), &edges).ok()?;
    Some((split, layers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layering_and_splitting() {
        let g = Digraph::from_edges(4, &[(0, 1), (1, 2), (0, 2), (3, 2)]).expect("edges in range");
        let layers = longest_path_layers(&g).expect("acyclic");
        assert_eq!(layers, [0, 1, 2, 0]);
        let (split, levels) = split_long_edges(&g, &layers).expect("rising layers");
        assert_eq!(split.len(), 6);
        assert!(split.edges().all(|(a, b)| levels[b] == levels[a] + 1));
        assert_eq!(split_long_edges(&g, &[0, 0, 0, 0]), None);
    }

    #[test]
    fn feedback_breaks_all_cycles() {
        for seed in 0..20 {
            let g = Digraph::from_edges(10, &crate::random_edges(seed, 10, 25))
                .expect("edges in range");
            let removed = feedback_edges(&g);
            let kept: Vec<_> = g.edges().filter(|e| !removed.contains(e)).collect();
            let rest = Digraph::from_edges(10, &kept).expect("edges in range");
            assert!(topological_order(&rest).is_ok());
        }
    }

    #[test]
    fn crossings() {
        let edges = crate::random_edges(3, 7, 20);
        let mut slow = 0;
        for (i, a) in edges.iter().enumerate() {
            for b in &edges[i + 1..] {
                slow += usize::from(a.0 < b.0 && a.1 > b.1 || a.0 > b.0 && a.1 < b.1);
            }
        }
        assert_eq!(count_crossings(&edges), slow);
        assert_eq!(barycenter_order(&[vec![3, 5], vec![], vec![0]]), [2, 1, 0]);
    }
}
