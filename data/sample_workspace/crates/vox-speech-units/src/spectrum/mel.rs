//! The mel scale.

use std::f32::consts::PI;

/// Converts a frequency to mels, a scale on which equal steps sound equal.
pub fn hz_to_mel(hz: f32) -> f32 {
    2595.0 * (1.0 + hz / 700.0).log10()
}

/// Converts mels back to hertz.
pub fn mel_to_hz(mel: f32) -> f32 {
    700.0 * (10f32.powf(mel / 2595.0) - 1.0)
}

/// A bank of overlapping triangular filters, evenly spaced in mels.
#[derive(Debug, Clone, PartialEq)]
pub struct MelBank {
    filters: Vec<(usize, Vec<f32>)>,
}

impl MelBank {
    /// Designs `count` filters over spectra of `bins` bins.
    ///
    /// The filters' corners are spread evenly in mels from `low_hz` to
    /// `high_hz`, which is lowered to half the sample rate if it lies above.
    /// Each triangle rises from its left neighbour's centre to its own and falls
    /// to its right neighbour's. Only non-zero weights are stored. `None` for
    /// fewer than two bins, no filters, or an empty band.
    #[must_use]
    pub fn new(count: usize, bins: usize, rate: f32, low_hz: f32, high_hz: f32) -> Option<MelBank> {
        let high_hz = high_hz.min(rate / 2.0);
        if bins < 2 || count == 0 || !(0.0 <= low_hz && low_hz < high_hz) {
            return None;
        }
        let (low, high) = (hz_to_mel(low_hz), hz_to_mel(high_hz));
        let corner = |i: usize| mel_to_hz(low + (high - low) * i as f32 / (count + 1) as f32);
        let bin_hz = |bin: usize| bin as f32 * rate / 2.0 / (bins - 1) as f32;
        let filters = (0..count)
            .map(|f| {
                let (left, mid, right) = (corner(f), corner(f + 1), corner(f + 2));
                let weight = |bin: usize| {
                    let hz = bin_hz(bin);
                    ((hz - left) / (mid - left))
                        .min((right - hz) / (right - mid))
                        .max(0.0)
                };
                let first = (0..bins).find(|&b| weight(b) > 0.0).unwrap_or(bins);
                let weights = (first..bins).map(weight).take_while(|&w| w > 0.0).collect();
                (first, weights)
            })
            .collect();
        Some(MelBank { filters })
    }

    /// Sums a power spectrum under each filter and takes the logarithm.
    ///
    /// Sums are raised to at least `floor` first, so that silence gives a finite
    /// value. A spectrum shorter than the bank was designed for is treated as
    /// ending in zeros.
    pub fn log_energies(&self, power: &[f32], floor: f32) -> Vec<f32> {
        self.filters
            .iter()
            .map(|(first, weights)| {
                let covered = power.get(*first..).unwrap_or(&[]);
                let sum: f32 = covered.iter().zip(weights).map(|(p, w)| p * w).sum();
                sum.max(floor).ln()
            })
            .collect()
    }

    /// Names the filter whose weight is largest at a spectrum bin.
    ///
    /// The first of equal filters is taken. `None` if no filter covers the bin.
    pub fn dominant_filter(&self, bin: usize) -> Option<usize> {
        let mut best: Option<(usize, f32)> = None;
        for (index, (first, weights)) in self.filters.iter().enumerate() {
            let weight = bin
                .checked_sub(*first)
                .and_then(|i| weights.get(i))
                .copied();
            if let Some(weight) = weight {
                if best.is_none_or(|(_, top)| weight > top) {
                    best = Some((index, weight));
                }
            }
        }
        best.map(|(index, _)| index)
    }
}

/// Decorrelates log filter energies with a cosine transform.
///
/// The first `count` coefficients of the orthonormal DCT-II are returned, at
/// most as many as there are energies. Coefficient 0 reflects loudness, the next
/// ones the coarse shape of the vocal tract.
///
/// # Examples
///
/// ```
/// let flat = vox_speech_units::spectrum::cepstrum(&[2.0; 4], 2);
/// assert!((flat[0] - 4.0).abs() < 1e-5 && flat[1].abs() < 1e-5);
/// ```
#[must_use]
pub fn cepstrum(log_energies: &[f32], count: usize) -> Vec<f32> {
    let n = log_energies.len();
    (0..count.min(n))
        .map(|k| {
            let sum: f32 = log_energies
                .iter()
                .enumerate()
                .map(|(i, e)| e * (PI * k as f32 * (i as f32 + 0.5) / n as f32).cos())
                .sum();
            let scale = if k == 0 { 1.0 } else { 2.0 };
            sum * (scale / n as f32).sqrt()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_round_trip() {
        for hz in [0.0, 55.0, 700.0, 7000.0] {
            assert!((mel_to_hz(hz_to_mel(hz)) - hz).abs() < 0.5);
        }
    }

    #[test]
    fn filters_overlap_to_one() {
        let bank = MelBank::new(10, 257, 16_000.0, 100.0, 8_000.0).expect("valid design");
        let from = bank.filters[1].0;
        let to = bank.filters[8].0;
        for bin in from..to {
            let sum: f32 = bank
                .filters
                .iter()
                .filter_map(|(first, w)| w.get(bin.checked_sub(*first)?))
                .sum();
            assert!((sum - 1.0).abs() < 1e-3, "bin {bin} sums to {sum}");
        }
        assert_eq!(bank.dominant_filter(0), None);
        assert_eq!(bank.log_energies(&[], 1.0), [0.0; 10]);
        assert_eq!(MelBank::new(10, 257, 16_000.0, 9_000.0, 10_000.0), None);
    }
}
