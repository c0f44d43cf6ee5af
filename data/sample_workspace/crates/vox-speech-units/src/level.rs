//! Loudness.

/// Expresses a mean-square level in decibels relative to full scale.
///
/// Levels at or below `floor_db` decibels, including silence, are reported as
/// `floor_db`.
pub fn to_decibels(mean_square: f32, floor_db: f32) -> f32 {
    if mean_square <= 0.0 {
        return floor_db;
    }
    (10.0 * mean_square.log10()).max(floor_db)
}

/// Scales a signal so that its root mean square reaches a target level.
///
/// The gain is limited so that no sample exceeds full scale, which may leave the
/// signal below the target. Returns the gain that was applied; silent signals
/// are not touched and give 1.0.
pub fn normalize_rms(signal: &mut [f32], target_db: f32) -> f32 {
    let mean_square = crate::vad::mean_energy(signal);
    let peak = signal.iter().fold(0.0f32, |top, x| top.max(x.abs()));
    if mean_square <= 0.0 || peak <= 0.0 {
        return 1.0;
    }
    let wanted = 10f32.powf(target_db / 20.0) / mean_square.sqrt();
    let gain = wanted.min(1.0 / peak);
    signal.iter_mut().for_each(|x| *x *= gain);
    gain
}

/// Holds peaks below a ceiling by turning the gain down ahead of them.
///
/// The needed gain is looked up over the next `lookahead` samples, so it is
/// already low when the peak arrives; afterwards it recovers by `release` of the
/// remaining gap per sample. The output never exceeds the ceiling.
pub fn limit_peaks(signal: &mut [f32], ceiling: f32, lookahead: usize, release: f32) {
    let needed: Vec<f32> = signal
        .iter()
        .map(|x| {
            if x.abs() > ceiling {
                ceiling / x.abs()
            } else {
                1.0
            }
        })
        .collect();
    let mut gain = 1.0f32;
    for (i, sample) in signal.iter_mut().enumerate() {
        let end = (i + lookahead + 1).min(needed.len());
        let ahead = needed[i..end].iter().copied().fold(1.0, f32::min);
        gain = if ahead < gain {
            ahead
        } else {
            gain + (1.0 - gain) * release.clamp(0.0, 1.0)
        };
        gain = gain.min(ahead);
        *sample *= gain;
    }
}

/// Finds runs of samples stuck at full scale.
///
/// A run counts as clipping when at least `min_run` consecutive samples have a
/// magnitude of `threshold` or more and the same sign. Ranges are returned in
/// order.
#[must_use]
pub fn clipped_runs(signal: &[f32], threshold: f32, min_run: usize) -> Vec<crate::SampleRange> {
    let mut runs = Vec::new();
    let mut start = 0;
    while start < signal.len() {
        if signal[start].abs() < threshold {
            start += 1;
            continue;
        }
        let positive = signal[start] > 0.0;
        let len = signal[start..]
            .iter()
            .take_while(|x| x.abs() >= threshold && (**x > 0.0) == positive)
            .count();
        if len >= min_run.max(1) {
            runs.push(start..start + len);
        }
        start += len.max(1);
    }
    runs
}

/// Removes a slowly varying offset with a one-pole high-pass filter.
///
/// `y[i] = x[i] - x[i-1] + r * y[i-1]`, where `r` is chosen for the given corner
/// frequency and kept between 0 and 1. The filter starts as if the first sample
/// had lasted forever, so there is no click at the beginning.
pub fn remove_offset(signal: &mut [f32], rate: f32, corner_hz: f32) {
    let Some(&first) = signal.first() else {
        return;
    };
    let pole = (1.0 - std::f32::consts::TAU * corner_hz / rate).clamp(0.0, 1.0);
    let (mut last_in, mut last_out) = (first, 0.0);
    for sample in signal {
        let input = *sample;
        last_out = input - last_in + pole * last_out;
        last_in = input;
        *sample = last_out;
    }
}

/// Joins two recordings with an equal-power crossfade.
///
/// The last `overlap` samples of the first and the first ones of the second are
/// blended along a quarter cosine; the overlap is shortened if either is too
/// short. The rest of both is copied unchanged.
pub fn crossfade(first: &[f32], second: &[f32], overlap: usize) -> Vec<f32> {
    let overlap = overlap.min(first.len()).min(second.len());
    let split = first.len() - overlap;
    let mut out = first[..split].to_vec();
    for i in 0..overlap {
        let phase = std::f32::consts::FRAC_PI_2 * (i as f32 + 0.5) / overlap as f32;
        let (rising, falling) = phase.sin_cos();
        out.push(first[split + i] * falling + second[i] * rising);
    }
    out.extend_from_slice(&second[overlap..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels_and_gain() {
        assert_eq!(to_decibels(0.0, -90.0), -90.0);
        assert!((to_decibels(0.01, -90.0) + 20.0).abs() < 1e-4);
        let mut quiet = vec![0.01, -0.01, 0.01, -0.01];
        let gain = normalize_rms(&mut quiet, -20.0);
        assert!((gain - 10.0).abs() < 1e-3 && (quiet[0] - 0.1).abs() < 1e-4);
        assert_eq!(normalize_rms(&mut [0.0; 3], -20.0), 1.0);
    }

    #[test]
    fn limiter_respects_the_ceiling() {
        let mut signal: Vec<f32> = crate::sine(50.0, 1000.0, 200)
            .iter()
            .map(|x| x * 3.0)
            .collect();
        limit_peaks(&mut signal, 0.8, 5, 0.01);
        assert!(signal.iter().all(|x| x.abs() <= 0.8001));
    }

    #[test]
    fn clipping_and_offset() {
        let signal = [0.2, 1.0, 1.0, -1.0, -1.0, -1.0, 0.0];
        assert_eq!(clipped_runs(&signal, 0.99, 3).first(), Some(&(3..6)));
        assert_eq!(clipped_runs(&signal, 0.99, 2), [1..3, 3..6]);
        let mut offset = vec![0.5; 10];
        remove_offset(&mut offset, 8000.0, 20.0);
        assert_eq!(offset, [0.0; 10]);
    }

    #[test]
    fn fades() {
        let out = crossfade(&[1.0; 6], &[0.0; 6], 4);
        assert_eq!(out.len(), 8);
        assert!(out.windows(2).all(|w| w[0] >= w[1]));
    }
}
