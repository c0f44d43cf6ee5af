//! Finding several needles in one pass.

use std::collections::{BTreeMap, VecDeque};

/// One place where a pattern occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset after the last byte.
    pub end: usize,
    /// Index of the pattern in the list given to [`MultiSearch::new`].
    pub pattern: usize,
}

#[derive(Debug, Clone, Default)]
struct Node {
    next: BTreeMap<u8, usize>,
    fail: usize,
    out: Vec<usize>,
}

/// An automaton that looks for many byte strings at once.
#[derive(Debug, Clone)]
pub struct MultiSearch {
    nodes: Vec<Node>,
    lens: Vec<usize>,
}

impl MultiSearch {
    /// Builds the automaton for a list of patterns.
    ///
    /// A trie is grown first; then failure links, which lead to the longest
    /// proper suffix that is also in the trie, are set breadth first, and each
    /// node inherits the outputs of its link. Empty patterns never match but
    /// keep their index.
    #[must_use]
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Self {
        let mut nodes = vec![Node::default()];
        for (index, pattern) in patterns.iter().enumerate() {
            let mut at = 0;
            for &byte in pattern.as_ref().as_bytes() {
                at = match nodes[at].next.get(&byte) {
                    Some(&child) => child,
                    None => {
                        nodes.push(Node::default());
                        let child = nodes.len() - 1;
                        nodes[at].next.insert(byte, child);
                        child
                    }
                };
            }
            if at != 0 {
                nodes[at].out.push(index);
            }
        }
        let lens = patterns.iter().map(|p| p.as_ref().len()).collect();
        let mut search = MultiSearch { nodes, lens };
        search.link();
        search
    }

    /// Sets the failure links, nearest states first.
    ///
    /// A child's link is found by stepping from its parent's link over the same byte;
    /// the patterns that end there end at the child too and are added to its outputs.
    fn link(&mut self) {
        let mut queue: VecDeque<usize> = self.nodes[0].next.values().copied().collect();
        while let Some(at) = queue.pop_front() {
            for (byte, child) in self.nodes[at].next.clone() {
                let fail = self.step(self.nodes[at].fail, byte);
                let inherited = self.nodes[fail].out.clone();
                self.nodes[child].fail = fail;
                self.nodes[child].out.extend(inherited);
                queue.push_back(child);
            }
        }
    }

    /// Moves from one state over one byte, following failure links as needed.
    ///
    /// The root absorbs bytes that no pattern starts with, so the walk always
    /// ends. Links must already be set for every state shallower than `state`.
    pub(crate) fn step(&self, mut state: usize, byte: u8) -> usize {
        loop {
            if let Some(&child) = self.nodes[state].next.get(&byte) {
                return child;
            }
            if state == 0 {
                return 0;
            }
            state = self.nodes[state].fail;
        }
    }

    /// Lists every occurrence of every pattern, overlapping ones included.
    ///
    /// Matches come out lazily, ordered by their end offset and, for equal ends,
    /// longest first. The haystack is read exactly once.
    pub fn find_all<'a>(&'a self, haystack: &'a str) -> impl Iterator<Item = Match> + 'a {
        let mut state = 0;
        haystack.bytes().enumerate().flat_map(move |(at, byte)| {
            state = self.step(state, byte);
            self.nodes[state].out.iter().map(move |&pattern| Match {
                start: at + 1 - self.lens[pattern],
                end: at + 1,
                pattern,
            })
        })
    }

    /// Rewrites the text, replacing leftmost-longest matches.
    ///
    /// Among overlapping candidates the one that starts first is taken, the
    /// longest of those that start together; scanning resumes after it. `with`
    /// receives the pattern index and returns the replacement.
    pub fn replace_with<F>(&self, text: &str, mut with: F) -> String
    where
        F: FnMut(usize) -> String,
    {
        let mut found: Vec<Match> = self.find_all(text).collect();
        found.sort_by_key(|m| (m.start, std::cmp::Reverse(m.end)));
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for hit in found {
            if hit.start < done {
                continue;
            }
            out.push_str(&text[done..hit.start]);
            out.push_str(&with(hit.pattern));
            done = hit.end;
        }
        out.push_str(&text[done..]);
        out
    }
}

/// Finds the first occurrence of one needle with Horspool's skip table.
///
/// The window is compared as a whole; on a mismatch it jumps by the distance
/// between the needle's end and the last earlier place of the byte under the
/// window's end. An empty needle is found at 0.
#[must_use]
pub fn find_bytes(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let Some((_, head)) = needle.split_last() else {
        return Some(0);
    };
    let mut skip = [needle.len(); 256];
    for (i, &byte) in head.iter().enumerate() {
        skip[usize::from(byte)] = head.len() - i;
    }
    let mut at = 0;
    while let Some(window) = haystack.get(at..at + needle.len()) {
        if window == needle {
            return Some(at);
        }
        at += skip[usize::from(window[head.len()])];
    }
    None
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn overlapping_matches() {
        let search = MultiSearch::new(&["he", "she", "hers", ""]);
        let found: Vec<(usize, usize)> = search
            .find_all("ushers")
            .map(|m| (m.start, m.pattern))
            .collect();
        assert_eq!(found, [(1, 1), (2, 0), (2, 2)]);
    }

    #[test]
    fn replacement_prefers_the_longest() {
        let search = MultiSearch::new(&["ab", "abc", "c"]);
        assert_eq!(
            search.replace_with("xabcabc!", |p| format!("<{p}>")),
            "x<1><1>!"
        );
    }

    #[test]
    fn horspool_agrees_with_the_standard_search() {
        for seed in 1..200 {
            let hay = crate::seeded_text(seed, 60, &['a', 'b']);
            let needle = crate::seeded_text(seed * 31, 5, &['a', 'b']);
            assert_eq!(
                find_bytes(hay.as_bytes(), needle.as_bytes()),
                hay.find(&needle)
            );
        }
        assert_eq!(find_bytes(b"x", b""), Some(0));
    }
}
