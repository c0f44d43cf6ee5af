//! Graph algorithms for the Vox module planner.
//!
//! Nodes are the integers below [`Digraph::len`]; callers keep their own table
//! from module names to numbers. Parallel edges and self-loops are allowed
//! unless a function says otherwise.

pub mod digraph;
pub mod dominance;
pub mod flow;
pub mod layers;
pub mod order;
pub mod paths;
pub mod reach;
pub mod undirected;
pub mod unionfind;

pub use digraph::Digraph;
pub use unionfind::UnionFind;

/// Index of a node.
pub type Node = usize;

/// A tiny linear congruential stream of edges for tests.
#[cfg(test)]
pub(crate) fn random_edges(seed: u64, nodes: usize, count: usize) -> Vec<(Node, Node)> {
    let mut state = seed;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % nodes
    };
    (0..count).map(|_| (draw(), draw())).collect()
}
