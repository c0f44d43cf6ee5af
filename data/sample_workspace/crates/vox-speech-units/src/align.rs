//! Dynamic programming over sequences of phonemes and feature vectors.

use crate::phones::{phone_distance, Phone};

/// One column of an alignment; a missing side is a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// Phoneme that was expected.
    pub expected: Option<Phone>,
    /// Phoneme that was heard.
    pub heard: Option<Phone>,
}

/// Lines up an expected and a heard pronunciation at the least cost.
///
/// Pairing two phonemes costs their articulatory distance, leaving one out costs
/// `gap`. The table is filled forward and traced back; on equal cost pairing is
/// preferred over omission, omission over insertion. Returns the columns in
/// order and the total cost.
#[must_use]
pub fn align_phones(expected: &[Phone], heard: &[Phone], gap: f32) -> (Vec<Aligned>, f32) {
    let (n, m) = (expected.len(), heard.len());
    let mut cost = vec![vec![0.0f32; m + 1]; n + 1];
    for i in 0..=n {
        for j in 0..=m {
            let mut best = if i + j == 0 { 0.0 } else { f32::INFINITY };
            if i > 0 && j > 0 {
                best = cost[i - 1][j - 1] + phone_distance(&expected[i - 1], &heard[j - 1]);
            }
            if i > 0 {
                best = best.min(cost[i - 1][j] + gap);
            }
            if j > 0 {
                best = best.min(cost[i][j - 1] + gap);
            }
            cost[i][j] = best;
        }
    }
    let (mut i, mut j) = (n, m);
    let mut columns = Vec::new();
    while i + j > 0 {
        let here = cost[i][j];
        let pairs = i > 0
            && j > 0
            && here == cost[i - 1][j - 1] + phone_distance(&expected[i - 1], &heard[j - 1]);
        let omits = !pairs && i > 0 && (j == 0 || here == cost[i - 1][j] + gap);
        let take_expected = pairs || omits;
        let take_heard = !omits;
        i -= usize::from(take_expected);
        j -= usize::from(take_heard);
        columns.push(Aligned {
            expected: take_expected.then(|| expected[i].clone()),
            heard: take_heard.then(|| heard[j].clone()),
        });
    }
    columns.reverse();
    (columns, cost[n][m])
}

/// Warps one sequence onto another and returns the cost per step.
///
/// Steps advance either sequence or both; `distance` compares elements. Only
/// cells within `band` of the diagonal (scaled for unequal lengths) are allowed,
/// which forbids absurd stretching. `None` if a sequence is empty or the band
/// admits no path.
pub fn warp_distance<T, F>(a: &[T], b: &[T], band: usize, distance: F) -> Option<f32>
where
    F: Fn(&T, &T) -> f32,
{
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let mut prev = vec![f32::INFINITY; b.len() + 1];
    prev[0] = 0.0;
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![f32::INFINITY; b.len() + 1];
        let center = i * b.len() / a.len();
        let lo = center.saturating_sub(band);
        let hi = (center + band + 1).min(b.len());
        for j in lo..hi {
            let best = prev[j].min(prev[j + 1]).min(row[j]);
            row[j + 1] = best + distance(x, &b[j]);
        }
        prev = row;
    }
    let total = prev[b.len()];
    total
        .is_finite()
        .then(|| total / (a.len() + b.len()) as f32)
}

/// Spreads phonemes over frames so that the summed score is greatest.
///
/// `scores[t][p]` tells how well frame `t` fits the `p`-th phoneme of the known
/// text. Each phoneme takes at least one frame and they follow in order. The
/// result holds the first frame of each phoneme; `None` if there are no phonemes,
/// fewer frames than phonemes, or rows of differing length.
pub fn force_align(scores: &[Vec<f32>]) -> Option<Vec<usize>> {
    let phones = scores.first()?.len();
    if phones == 0 || scores.len() < phones || scores.iter().any(|r| r.len() != phones) {
        return None;
    }
    let mut best = vec![f32::NEG_INFINITY; phones];
    best[0] = scores[0][0];
    let mut entered = vec![vec![false; phones]; scores.len()];
    for (t, row) in scores.iter().enumerate().skip(1) {
        for p in (0..phones).rev() {
            let stay = best[p];
            let enter = if p > 0 {
                best[p - 1]
            } else {
                f32::NEG_INFINITY
            };
            entered[t][p] = enter > stay;
            best[p] = stay.max(enter) + row[p];
        }
    }
    let mut starts = vec![0; phones];
    let mut p = phones - 1;
    for t in (1..scores.len()).rev() {
        if entered[t][p] {
            starts[p] = t;
            p -= 1;
        }
    }
    Some(starts)
}

/// Finds the most likely sequence of hidden states for a series of frames.
///
/// All scores are logarithms: `emit[t][s]` for frame and state, `step[r][s]` for
/// going from state `r` to `s`. Every state may come first at no cost. On ties
/// the lower state wins. No frames or no states give an empty path.
#[must_use]
pub fn viterbi_path(emit: &[Vec<f32>], step: &[Vec<f32>]) -> Vec<usize> {
    let states = step.len();
    let Some(first) = emit.first().filter(|_| states > 0) else {
        return Vec::new();
    };
    let arg_max = |values: &mut dyn Iterator<Item = f32>| {
        let mut best = (0, f32::NEG_INFINITY);
        for (s, value) in values.enumerate() {
            if value > best.1 {
                best = (s, value);
            }
        }
        best
    };
    let mut score = first.clone();
    let mut back: Vec<Vec<usize>> = Vec::new();
    for frame in &emit[1..] {
        let mut next = Vec::with_capacity(states);
        let mut from = Vec::with_capacity(states);
        for s in 0..states {
            let (r, best) = arg_max(&mut (0..states).map(|r| score[r] + step[r][s]));
            from.push(r);
            next.push(best + frame[s]);
        }
        score = next;
        back.push(from);
    }
    let mut at = arg_max(&mut score.iter().copied()).0;
    let mut path = vec![at];
    for from in back.iter().rev() {
        at = from[at];
        path.push(at);
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phones::parse_phones;

    #[test]
    fn pronunciations() {
        let expected = parse_phones("K AE1 T S").expect("valid phones");
        let heard = parse_phones("G AE1 T").expect("valid phones");
        let (columns, cost) = align_phones(&expected, &heard, 0.9);
        assert_eq!(columns.len(), 4);
        assert!(columns[3].heard.is_none());
        assert!(cost < 1.8);
        assert_eq!(align_phones(&[], &[], 1.0).1, 0.0);
    }

    #[test]
    fn warping_ignores_tempo() {
        let slow = [1.0f32, 1.0, 2.0, 2.0, 3.0, 3.0];
        let fast = [1.0f32, 2.0, 3.0];
        let distance = |a: &f32, b: &f32| (a - b).abs();
        assert_eq!(warp_distance(&slow, &fast, 2, distance), Some(0.0));
        assert!(warp_distance(&slow, &[3.0, 1.0, 2.0], 2, distance) > Some(0.1));
        assert_eq!(warp_distance(&slow, &[], 2, distance), None);
    }

    #[test]
    fn forced_alignment() {
        let good = |p: usize| {
            (0..3)
                .map(|q| if p == q { 1.0 } else { 0.0 })
                .collect::<Vec<f32>>()
        };
        let scores = [good(0), good(0), good(1), good(2), good(2)];
        assert_eq!(force_align(&scores), Some(vec![0, 2, 3]));
        assert_eq!(force_align(&scores[..2]), None);
    }

    #[test]
    fn smoothing_by_viterbi() {
        let emit: Vec<Vec<f32>> = [0, 0, 1, 0, 1, 1]
            .iter()
            .map(|&s| {
                if s == 0 {
                    vec![0.0, -1.0]
                } else {
                    vec![-1.0, 0.0]
                }
            })
            .collect();
        let sticky = vec![vec![0.0, -1.5], vec![-1.5, 0.0]];
        assert_eq!(viterbi_path(&emit, &sticky), [0, 0, 0, 0, 1, 1]);
        assert!(viterbi_path(&[], &sticky).is_empty());
    }
}
