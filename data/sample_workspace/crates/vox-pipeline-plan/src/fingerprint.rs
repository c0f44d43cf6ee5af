//! Fingerprints that decide whether a step can reuse its cached result.

use crate::graph::Plan;

/// A running 64-bit hash after the scheme of Fowler, Noll and Vo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hasher(u64);

impl Default for Hasher {
    fn default() -> Self {
        Hasher(0xCBF2_9CE4_8422_2325)
    }
}

impl Hasher {
    /// Mixes a field into the hash, bytes first and then its length.
    ///
    /// The length keeps neighbouring fields apart: the fields `ab`, `c` hash
    /// differently from `a`, `bc`. Each byte is combined by exclusive or and
    /// multiplied by the FNV prime. Returns the updated hasher for chaining.
    #[must_use]
    pub const fn field(self, bytes: &[u8]) -> Hasher {
        let mut state = self.0;
        let mut at = 0;
        while at < bytes.len() {
            state = (state ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01B3);
            at += 1;
        }
        let length = (bytes.len() as u64).to_le_bytes();
        at = 0;
        while at < length.len() {
            state = (state ^ length[at] as u64).wrapping_mul(0x0100_0000_01B3);
            at += 1;
        }
        Hasher(state)
    }

    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// Computes a cache key for each step of a plan.
///
/// A key covers the step's name, its own input digest (`inputs`, empty where
/// the slice is too short) and the keys of everything it needs. Therefore a
/// change anywhere upstream changes all keys downstream, while the order in
/// which steps are declared has no influence.
#[must_use]
pub fn cache_keys(plan: &Plan, inputs: &[&[u8]]) -> Vec<u64> {
    let mut keys = vec![0; plan.steps.len()];
    for &step in &plan.order {
        let input = inputs.get(step).copied().unwrap_or_default();
        let mut hasher = Hasher::default()
            .field(plan.steps[step].name.as_bytes())
            .field(input);
        let mut upstream: Vec<u64> = plan.needs[step].iter().map(|&need| keys[need]).collect();
        upstream.sort_unstable();
        for key in upstream {
            hasher = hasher.field(&key.to_le_bytes());
        }
        keys[step] = hasher.value();
    }
    keys
}

#[doc = "Matches a file name against a pattern with `*` and `?`."]
#[doc = ""]
#[doc = "A star stands for any run of characters and a question mark for"]
#[doc = "exactly one; neither matches a slash. There is no escape syntax. On a"]
#[doc = "mismatch the search goes back to the latest star and lets it take one"]
#[doc = "character more, which keeps the cost proportional to the product of"]
#[doc = "the two lengths."]
#[must_use]
pub fn matches_glob(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some('?') if name[n] != '/' => {
                p += 1;
                n += 1;
            }
            Some(&literal) if literal != '?' && literal == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, from)) if name[from] != '/' => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|&ch| ch == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps;

    #[test]
    fn field_borders_matter() {
        let left = Hasher::default().field(b"ab").field(b"c");
        let right = Hasher::default().field(b"a").field(b"bc");
        assert_ne!(left, right);
        assert_ne!(Hasher::default().field(b""), Hasher::default());
    }

    #[test]
    fn keys_follow_dependencies() {
        let plan = Plan::new(steps! { "a" (1); "b" (1) needs "a"; "c" (1); }).unwrap();
        let before = cache_keys(&plan, &[b"1", b"2", b"3"]);
        let after = cache_keys(&plan, &[b"9", b"2", b"3"]);
        assert_ne!(before[0], after[0]);
        assert_ne!(before[1], after[1]);
        assert_eq!(before[2], after[2]);
        let moved = Plan::new(steps! { "c" (1); "b" (1) needs "a"; "a" (1); }).unwrap();
        let keys = cache_keys(&moved, &[b"3", b"2", b"1"]);
        assert_eq!(keys[1], before[1]);
    }

    #[test]
    fn globs_stay_within_a_folder() {
        assert!(matches_glob("src/*.vox", "src/main.vox"));
        assert!(matches_glob("*a*b?", "xxaaybz"));
        assert!(matches_glob("*", ""));
        assert!(!matches_glob("src/*.vox", "src/lib/main.vox"));
        assert!(!matches_glob("a?c", "a/c"));
        assert!(!matches_glob("a?", "a"));
    }
}
