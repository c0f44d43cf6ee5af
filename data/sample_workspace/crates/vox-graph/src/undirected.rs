//! Structure of undirected graphs given as lists of edges.

use crate::Node;

/// Neighbour lists with the number of the edge that leads to each neighbour.
pub(crate) type Neighbours = Vec<Vec<(Node, usize)>>;

/// Indexes an edge list by node, both ways.
///
/// A self-loop is entered twice in its node's list. All ends must be below
/// `nodes`.
pub(crate) fn neighbours(nodes: usize, edges: &[(Node, Node)]) -> Neighbours {
    let mut near: Neighbours = vec![Vec::new(); nodes];
    for (id, &(a, b)) in edges.iter().enumerate() {
        near[a].push((b, id));
        near[b].push((a, id));
    }
    near
}

/// Cut nodes and bridges of an undirected graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CutParts {
    /// Nodes whose removal splits their component, ascending.
    pub nodes: Vec<Node>,
    /// Indices of edges whose removal splits their component, ascending.
    pub bridges: Vec<usize>,
}

/// Finds all single points of failure in one depth-first search.
///
/// Each node learns the earliest discovery time it can reach by going down the
/// tree and up one other edge. A tree edge whose lower end cannot get above it
/// is a bridge; a non-root node that some child cannot get above is a cut node,
/// and so is a root with several children. Parallel edges protect each other.
#[must_use]
pub fn cut_parts(nodes: usize, edges: &[(Node, Node)]) -> CutParts {
    let near = neighbours(nodes, edges);
    let (mut time, mut low) = (vec![0usize; nodes], vec![0usize; nodes]);
    let mut clock = 0;
    let mut is_cut = vec![false; nodes];
    let mut parts = CutParts::default();
    for root in 0..nodes {
        if time[root] != 0 {
            continue;
        }
        clock += 1;
        (time[root], low[root]) = (clock, clock);
        let mut root_children = 0;
        let mut stack = vec![(root, usize::MAX, 0)];
        while let Some((node, entry, next)) = stack.pop() {
            if let Some(&(other, id)) = near[node].get(next) {
                stack.push((node, entry, next + 1));
                if id == entry {
                    continue;
                }
                if time[other] != 0 {
                    low[node] = low[node].min(time[other]);
                } else {
                    clock += 1;
                    (time[other], low[other]) = (clock, clock);
                    stack.push((other, id, 0));
                }
            } else if let Some(&(parent, _, _)) = stack.last() {
                low[parent] = low[parent].min(low[node]);
                if low[node] > time[parent] {
                    parts.bridges.push(entry);
                }
                root_children += usize::from(parent == root);
                is_cut[parent] |= parent != root && low[node] >= time[parent];
            }
        }
        is_cut[root] = root_children > 1;
    }
    parts.nodes = (0..nodes).filter(|&n| is_cut[n]).collect();
    parts.bridges.sort_unstable();
    parts
}

/// Colours the nodes with two colours so that every edge joins different ones.
///
/// The smallest node of each component gets `false`.
///
/// # Errors
///
/// The index of an edge that closes an odd cycle; a self-loop is one.
pub fn two_coloring(nodes: usize, edges: &[(Node, Node)]) -> Result<Vec<bool>, usize> {
    let near = neighbours(nodes, edges);
    let mut color: Vec<Option<bool>> = vec![None; nodes];
    for root in 0..nodes {
        if color[root].is_some() {
            continue;
        }
        color[root] = Some(false);
        let mut stack = vec![(root, false)];
        while let Some((node, mine)) = stack.pop() {
            for &(other, id) in &near[node] {
                match color[other] {
                    Some(theirs) if theirs == mine => return Err(id),
                    Some(_) => {}
                    None => {
                        color[other] = Some(!mine);
                        stack.push((other, !mine));
                    }
                }
            }
        }
    }
    Ok(color.into_iter().flatten().collect())
}

/// Draws all edges in one stroke, if that is possible.
///
/// Hierholzer's method walks until stuck and splices detours in. The stroke is
/// returned as the sequence of nodes it visits; it starts at an odd node when
/// there are two of them, else at the first edge's source. `None` if there are
/// no edges, more than two odd nodes, or edges in several components.
pub fn euler_stroke(nodes: usize, edges: &[(Node, Node)]) -> Option<Vec<Node>> {
    let near = neighbours(nodes, edges);
    let odd: Vec<Node> = (0..nodes).filter(|&n| near[n].len() % 2 == 1).collect();
    let start = match odd[..] {
        [] => edges.first()?.0,
        [one, _] => one,
        _ => return None,
    };
    let mut used = vec![false; edges.len()];
    let mut cursor = vec![0; nodes];
    let mut stack = vec![start];
    let mut stroke = Vec::with_capacity(edges.len() + 1);
    while let Some(&node) = stack.last() {
        match near[node].get(cursor[node]) {
            Some(&(other, id)) => {
                cursor[node] += 1;
                if !std::mem::replace(&mut used[id], true) {
                    stack.push(other);
                }
            }
            None => {
                stroke.push(node);
                stack.pop();
            }
        }
    }
    (stroke.len() == edges.len() + 1).then_some(stroke)
}

/// Peels the graph to find how deep in a dense core each node lies.
///
/// The core number of a node is the largest `k` such that it belongs to a
/// subgraph in which every node has at least `k` neighbours. Nodes are removed
/// by rising remaining degree, which is tracked in buckets so that the time is
/// linear. Parallel edges count separately.
pub fn core_numbers(nodes: usize, edges: &[(Node, Node)]) -> Vec<usize> {
    let near = neighbours(nodes, edges);
    let mut degree: Vec<usize> = near.iter().map(Vec::len).collect();
    let top = degree.iter().copied().max().unwrap_or(0);
    let mut buckets: Vec<Vec<Node>> = vec![Vec::new(); top + 1];
    for (node, &d) in degree.iter().enumerate() {
        buckets[d].push(node);
    }
    let mut core = vec![0; nodes];
    let mut done = vec![false; nodes];
    let mut level = 0;
    while level <= top {
        let Some(node) = buckets[level].pop() else {
            level += 1;
            continue;
        };
        if done[node] || degree[node] > level {
            continue;
        }
        done[node] = true;
        core[node] = level;
        for &(other, _) in &near[node] {
            if !done[other] && degree[other] > level {
                degree[other] -= 1;
                buckets[degree[other]].push(other);
            }
        }
    }
    core
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnionFind;

    fn pieces(nodes: usize, edges: &[(Node, Node)]) -> usize {
        let mut sets = UnionFind::new(nodes);
        edges.iter().for_each(|&(a, b)| {
            sets.union(a, b);
        });
        sets.groups().len()
    }

    #[test]
    fn cuts_match_removal() {
        for seed in 0..40 {
            let edges = crate::random_edges(seed, 10, 12);
            let parts = cut_parts(10, &edges);
            let whole = pieces(10, &edges);
            for id in 0..edges.len() {
                let mut rest = edges.clone();
                rest.remove(id);
                assert_eq!(parts.bridges.contains(&id), pieces(10, &rest) > whole);
            }
            for node in 0..10 {
                let rest: Vec<_> = edges
                    .iter()
                    .copied()
                    .filter(|&(a, b)| a != node && b != node)
                    .collect();
                assert_eq!(parts.nodes.contains(&node), pieces(10, &rest) > whole + 1);
            }
        }
    }

    #[test]
    fn colors() {
        assert_eq!(
            two_coloring(4, &[(0, 1), (1, 2)]),
            Ok(vec![false, true, false, false])
        );
        assert!(two_coloring(3, &[(0, 1), (1, 2), (2, 0)]).is_err());
        assert_eq!(two_coloring(1, &[(0, 0)]), Err(0));
    }

    #[test]
    fn strokes() {
        let house = [
            (0, 1),
            (1, 2),
            (2, 3),
            (3, 0),
            (0, 2),
            (1, 3),
            (2, 4),
            (3, 4),
        ];
        let stroke = euler_stroke(5, &house).expect("drawable");
        assert_eq!(stroke.len(), 9);
        assert_eq!(euler_stroke(4, &[(0, 1), (2, 3)]), None);
        assert_eq!(euler_stroke(2, &[]), None);
    }

    #[test]
    fn cores() {
        let edges = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4)];
        assert_eq!(core_numbers(6, &edges), [2, 2, 2, 1, 1, 0]);
    }
}
