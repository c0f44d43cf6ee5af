//! Cutting a signal into overlapping frames.

use std::f32::consts::TAU;

/// Frame length and hop, both in samples and at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    len: usize,
    hop: usize,
}

/// Tapers that can be laid over a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// No taper at all.
    Rectangular,
    /// Raised cosine that ends at zero.
    Hann,
    /// Raised cosine on a small pedestal.
    Hamming,
    /// Three-term cosine with low side lobes.
    Blackman,
}

impl Framing {
    /// Converts lengths in milliseconds to whole samples at a rate.
    ///
    /// Fractions are rounded to the nearest sample. `None` if either length
    /// comes out as zero, so the hop can always make progress.
    pub const fn from_millis(len_ms: u32, hop_ms: u32, rate: u32) -> Option<Framing> {
        let len = (len_ms as u64 * rate as u64 + 500) / 1000;
        let hop = (hop_ms as u64 * rate as u64 + 500) / 1000;
        if len == 0 || hop == 0 {
            return None;
        }
        Some(Framing {
            len: len as usize,
            hop: hop as usize,
        })
    }

    /// Samples per frame.
    pub const fn frame_len(self) -> usize {
        self.len
    }

    /// Counts the frames needed to cover `samples` samples.
    ///
    /// The last frame may be partial, but only if the ones before it leave
    /// samples uncovered; no samples need no frames.
    #[must_use]
    pub const fn frame_count(self, samples: usize) -> usize {
        if samples == 0 {
            0
        } else if samples <= self.len {
            1
        } else {
            1 + (samples - self.len).div_ceil(self.hop)
        }
    }

    /// Yields the frames of a signal, the last padded with zeros.
    ///
    /// Each item is a fresh vector of the full frame length, ready to be
    /// windowed in place. There are [`Framing::frame_count`] of them.
    pub fn frames<'a>(&self, signal: &'a [f32]) -> impl Iterator<Item = Vec<f32>> + 'a {
        let Framing { len, hop } = *self;
        (0..self.frame_count(signal.len())).map(move |index| {
            let start = index * hop;
            let end = (start + len).min(signal.len());
            let mut frame = vec![0.0; len];
            if start < end {
                frame[..end - start].copy_from_slice(&signal[start..end]);
            }
            frame
        })
    }

    /// Reassembles a signal from frames by overlap and add.
    ///
    /// Frames are summed at multiples of the hop, and each sample is divided by
    /// the sum of the squared window weights that covered it, so analysis and
    /// synthesis with the same window restore the input. Samples with almost no
    /// weight become zero.
    pub fn overlap_add(&self, frames: &[Vec<f32>], window: Window) -> Vec<f32> {
        if frames.is_empty() {
            return Vec::new();
        }
        let taper = window.coefficients(self.len);
        let total = (frames.len() - 1) * self.hop + self.len;
        let mut sum = vec![0.0; total];
        let mut weight = vec![0.0f32; total];
        for (index, frame) in frames.iter().enumerate() {
            let base = index * self.hop;
            for (i, (&x, &w)) in frame.iter().zip(&taper).enumerate() {
                sum[base + i] += x * w;
                weight[base + i] += w * w;
            }
        }
        for (x, w) in sum.iter_mut().zip(weight) {
            *x = if w > 1e-6 { *x / w } else { 0.0 };
        }
        sum
    }
}

impl Window {
    /// Tabulates the window for frames of `len` samples.
    ///
    /// The periodic form is used, whose implied next sample would equal the
    /// first, as spectral analysis wants. A single-sample window is 1.0.
    #[must_use]
    pub fn coefficients(self, len: usize) -> Vec<f32> {
        if len == 1 {
            return vec![1.0];
        }
        (0..len)
            .map(|i| {
                let phase = TAU * i as f32 / len as f32;
                match self {
                    Window::Rectangular => 1.0,
                    Window::Hann => 0.5 - 0.5 * phase.cos(),
                    Window::Hamming => 0.54 - 0.46 * phase.cos(),
                    Window::Blackman => 0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos(),
                }
            })
            .collect()
    }
}

/// Boosts high frequencies by subtracting a share of the previous sample.
///
/// Each output is `x[i] - amount * x[i - 1]`, the sample before the first being
/// zero. The work is done in place from the end backward, so no copy is made.
pub fn pre_emphasize(signal: &mut [f32], amount: f32) {
    for i in (1..signal.len()).rev() {
        signal[i] -= amount * signal[i - 1];
    }
}

/// Undoes [`pre_emphasize`] with the same amount.
///
/// Every sample gets back the given share of the restored one before it. Amounts
/// of one or more in magnitude make the result grow without bound, so they are
/// refused and `false` is returned.
pub fn de_emphasize(signal: &mut [f32], amount: f32) -> bool {
    if amount.abs() >= 1.0 || amount.is_nan() {
        return false;
    }
    let mut previous = 0.0;
    for sample in signal {
        *sample += amount * previous;
        previous = *sample;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_cover_the_signal() {
        let framing = Framing { len: 4, hop: 2 };
        let signal: Vec<f32> = (1..=7).map(|i| i as f32).collect();
        let frames: Vec<Vec<f32>> = framing.frames(&signal).collect();
        assert_eq!(frames.len(), 3);
        assert_eq!(frames[2], [5.0, 6.0, 7.0, 0.0]);
        assert_eq!(framing.frame_count(4), 1);
        assert_eq!(framing.frame_count(0), 0);
        assert_eq!(
            Framing::from_millis(25, 10, 16_000),
            Some(Framing { len: 400, hop: 160 })
        );
        assert_eq!(Framing::from_millis(25, 0, 16_000), None);
    }

    #[test]
    fn overlap_add_restores_the_inside() {
        let framing = Framing { len: 16, hop: 4 };
        let signal = crate::sine(5.0, 100.0, 80);
        let taper = Window::Hann.coefficients(16);
        let frames: Vec<Vec<f32>> = framing
            .frames(&signal)
            .map(|f| f.iter().zip(&taper).map(|(x, w)| x * w).collect())
            .collect();
        let back = framing.overlap_add(&frames, Window::Hann);
        for i in 1..80 {
            assert!((back[i] - signal[i]).abs() < 1e-4);
        }
    }

    #[test]
    fn emphasis_round_trip() {
        let original = crate::sine(3.0, 50.0, 60);
        let mut signal = original.clone();
        pre_emphasize(&mut signal, 0.95);
        assert!(de_emphasize(&mut signal, 0.95));
        assert!(signal
            .iter()
            .zip(&original)
            .all(|(a, b)| (a - b).abs() < 1e-4));
        assert!(!de_emphasize(&mut signal, 1.0));
    }
}
