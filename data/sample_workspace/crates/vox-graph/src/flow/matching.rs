//! Pairing two sides of a bipartite graph.

/// A matching between left and right nodes, seen from both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// Partner of each left node.
    pub left: Vec<Option<usize>>,
    /// Partner of each right node.
    pub right: Vec<Option<usize>>,
}

/// Pairs up as many nodes as possible along the allowed edges.
///
/// `allowed[l]` lists the right nodes that left node `l` accepts; all of them
/// must be below `right_len`. Kuhn's augmenting search is tried once per left
/// node, so earlier lists and lower indices are favoured among equally large
/// matchings.
#[must_use]
pub fn max_matching(allowed: &[Vec<usize>], right_len: usize) -> Matching {
    let mut matching = Matching {
        left: vec![None; allowed.len()],
        right: vec![None; right_len],
    };
    for start in 0..allowed.len() {
        let mut seen = vec![false; right_len];
        augment(allowed, start, &mut seen, &mut matching);
    }
    matching
}

/// Tries to give left node `l` a partner, moving others to new partners if needed.
///
/// Right nodes in `seen` have been tried already and are passed over. Returns
/// whether it worked; on failure the matching is as it was.
fn augment(allowed: &[Vec<usize>], l: usize, seen: &mut [bool], m: &mut Matching) -> bool {
    for &r in &allowed[l] {
        if std::mem::replace(&mut seen[r], true) {
            continue;
        }
        let free = match m.right[r] {
            None => true,
            Some(holder) => augment(allowed, holder, seen, m),
        };
        if free {
            m.left[l] = Some(r);
            m.right[r] = Some(l);
            return true;
        }
    }
    false
}

/// Picks the fewest nodes that touch every edge of a bipartite graph.
///
/// By König's theorem there are as many as pairs in a maximum matching. From
/// the unmatched left nodes, alternating paths are followed; the cover consists
/// of the left nodes not reached and the right nodes reached. `matching` must be
/// maximum for `allowed`. Returns the two index lists, each ascending.
pub fn min_vertex_cover(allowed: &[Vec<usize>], matching: &Matching) -> (Vec<usize>, Vec<usize>) {
    let mut left_seen: Vec<bool> = matching.left.iter().map(Option::is_none).collect();
    let mut right_seen = vec![false; matching.right.len()];
    let mut stack: Vec<usize> = (0..allowed.len()).filter(|&l| left_seen[l]).collect();
    while let Some(l) = stack.pop() {
        for &r in &allowed[l] {
            if std::mem::replace(&mut right_seen[r], true) {
                continue;
            }
            if let Some(partner) = matching.right[r] {
                if !std::mem::replace(&mut left_seen[partner], true) {
                    stack.push(partner);
                }
            }
        }
    }
    let left = (0..left_seen.len()).filter(|&l| !left_seen[l]).collect();
    let right = (0..right_seen.len()).filter(|&r| right_seen[r]).collect();
    (left, right)
}

/// Pairs proposers with acceptors so that no two would rather have each other.
///
/// Both tables list partners by falling preference; pairs not listed by both
/// sides are impossible. The deferred-acceptance procedure gives every proposer
/// the best partner possible in any stable pairing. The result holds each
/// proposer's acceptor, `None` for those who end up alone.
pub fn stable_pairs(proposers: &[Vec<usize>], acceptors: &[Vec<usize>]) -> Vec<Option<usize>> {
    let rank = |acceptor: usize, proposer: usize| {
        acceptors
            .get(acceptor)
            .and_then(|list| list.iter().position(|&p| p == proposer))
    };
    let mut next = vec![0; proposers.len()];
    let mut held: Vec<Option<usize>> = vec![None; acceptors.len()];
    let mut result = vec![None; proposers.len()];
    let mut free: Vec<usize> = (0..proposers.len()).rev().collect();
    while let Some(p) = free.pop() {
        let Some(&acceptor) = proposers[p].get(next[p]) else {
            continue;
        };
        next[p] += 1;
        let Some(my_rank) = rank(acceptor, p) else {
            free.push(p);
            continue;
        };
        match held[acceptor] {
            Some(rival) if rank(acceptor, rival) < Some(my_rank) => free.push(p),
            previous => {
                if let Some(rival) = previous {
                    result[rival] = None;
                    free.push(rival);
                }
                held[acceptor] = Some(p);
                result[p] = Some(acceptor);
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cover_is_as_large_as_the_matching() {
        for seed in 0..30 {
            let mut allowed = vec![Vec::new(); 8];
            for (l, r) in crate::random_edges(seed, 8, 14) {
                allowed[l].push(r);
            }
            let matching = max_matching(&allowed, 8);
            let size = matching.left.iter().flatten().count();
            let (left, right) = min_vertex_cover(&allowed, &matching);
            assert_eq!(left.len() + right.len(), size);
            for (l, list) in allowed.iter().enumerate() {
                assert!(list.iter().all(|r| left.contains(&l) || right.contains(r)));
            }
        }
    }

    #[test]
    fn stable_pairing() {
        let proposers = [vec![0, 1], vec![0, 1], vec![1]];
        let acceptors = [vec![1, 0], vec![0, 1]];
        assert_eq!(
            stable_pairs(&proposers, &acceptors),
            [Some(1), Some(0), None]
        );
    }
}
