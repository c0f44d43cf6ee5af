//! Changing the sample rate.

use std::f32::consts::PI;

/// Reduces a pair of sample rates to lowest terms.
///
/// Returns the factor by which to stretch and the one by which to thin out, so
/// that `from * up == to * down`. `None` if either rate is zero.
#[must_use]
pub const fn rate_ratio(from: u32, to: u32) -> Option<(u32, u32)> {
    if from == 0 || to == 0 {
        return None;
    }
    let (mut a, mut b) = (from, to);
    while b != 0 {
        let rest = a % b;
        a = b;
        b = rest;
    }
    Some((to / a, from / a))
}

/// Resamples by straight lines between neighbouring samples.
///
/// Cheap and good enough for level meters; for speech use [`resample_sinc`]. The
/// output has `len * to / from` samples, rounded up. Past the last input sample
/// its value is held. Zero rates give an empty result.
pub fn resample_linear(signal: &[f32], from: u32, to: u32) -> Vec<f32> {
    let (Some((up, down)), Some(&last)) = (rate_ratio(from, to), signal.last()) else {
        return Vec::new();
    };
    let total = (signal.len() as u64 * u64::from(up)).div_ceil(u64::from(down));
    (0..total)
        .map(|i| {
            let scaled = i * u64::from(down);
            let base = (scaled / u64::from(up)) as usize;
            let part = (scaled % u64::from(up)) as f32 / up as f32;
            let here = signal.get(base).copied().unwrap_or(last);
            let next = signal.get(base + 1).copied().unwrap_or(last);
            here + (next - here) * part
        })
        .collect()
}

/// Resamples with a windowed sinc filter of `taps` zero crossings per side.
///
/// When the rate falls, the filter is widened so that frequencies which the new
/// rate cannot hold are removed first. Each output is divided by the sum of the
/// weights used, which keeps constant signals constant even at the borders.
/// Length and zero rates are handled as in [`resample_linear`].
#[must_use]
pub fn resample_sinc(signal: &[f32], from: u32, to: u32, taps: usize) -> Vec<f32> {
    let Some((up, down)) = rate_ratio(from, to) else {
        return Vec::new();
    };
    let cutoff = (f64::from(to) / f64::from(from)).min(1.0) as f32;
    let reach = (taps.max(1) as f32 / cutoff).ceil();
    let total = (signal.len() as u64 * u64::from(up)).div_ceil(u64::from(down));
    (0..total)
        .map(|i| {
            let scaled = i * u64::from(down);
            let base = (scaled / u64::from(up)) as i64;
            let part = (scaled % u64::from(up)) as f32 / up as f32;
            let (mut sum, mut norm) = (0.0f32, 0.0f32);
            for offset in -(reach as i64)..=reach as i64 + 1 {
                let Some(&x) = usize::try_from(base + offset)
                    .ok()
                    .and_then(|at| signal.get(at))
                else {
                    continue;
                };
                let weight = sinc_weight(offset as f32 - part, cutoff, reach);
                sum += x * weight;
                norm += weight;
            }
            if norm.abs() > 1e-6 {
                sum / norm
            } else {
                0.0
            }
        })
        .collect()
}

/// Evaluates the interpolation kernel at a distance in input samples.
///
/// A sinc with the given cutoff, relative to half the input rate, is multiplied by
/// a raised cosine that falls to zero at `reach`.
fn sinc_weight(distance: f32, cutoff: f32, reach: f32) -> f32 {
    if distance.abs() >= reach {
        return 0.0;
    }
    let x = PI * distance * cutoff;
    let sinc = if x.abs() < 1e-6 { 1.0 } else { x.sin() / x };
    sinc * (0.5 + 0.5 * (PI * distance / reach).cos())
}

/**
Mixes interleaved channels down to one by averaging.

A trailing group with fewer samples than channels is averaged over what is
there. Zero channels give an empty result.
*/
pub fn downmix(interleaved: &[f32], channels: usize) -> Vec<f32> {
    if channels == 0 {
        return Vec::new();
    }
    interleaved
        .chunks(channels)
        .map(|group| group.iter().sum::<f32>() / group.len() as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios() {
        assert_eq!(rate_ratio(44_100, 48_000), Some((160, 147)));
        assert_eq!(rate_ratio(0, 8_000), None);
    }

    #[test]
    fn linear_doubling() {
        assert_eq!(resample_linear(&[0.0, 1.0], 1, 2), [0.0, 0.5, 1.0, 1.0]);
        assert_eq!(resample_linear(&[0.0, 1.0, 2.0], 2, 1), [0.0, 2.0]);
        assert!(resample_linear(&[], 1, 2).is_empty());
    }

    #[test]
    fn sinc_keeps_low_and_removes_high_tones() {
        let low = resample_sinc(&crate::sine(200.0, 16_000.0, 1600), 16_000, 8_000, 12);
        let want = crate::sine(200.0, 8_000.0, 800);
        let worst = (50..750)
            .map(|i| (low[i] - want[i]).abs())
            .fold(0.0, f32::max);
        assert!(worst < 0.01, "off by {worst}");
        let high = resample_sinc(&crate::sine(6_000.0, 16_000.0, 1600), 16_000, 8_000, 12);
        assert!(high[50..750].iter().all(|x| x.abs() < 0.05));
    }

    #[test]
    fn mixing() {
        assert_eq!(downmix(&[1.0, 0.0, 0.5, 0.5, 1.0], 2), [0.5, 0.5, 1.0]);
    }
}
