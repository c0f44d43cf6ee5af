//! Voice activity.

use crate::SampleRange;

/// Mean of the squared samples; zero for an empty frame.
///
/// Summation is done in `f64` so that long quiet frames do not lose their
/// small terms.
#[must_use]
pub fn mean_energy(frame: &[f32]) -> f32 {
    if frame.is_empty() {
        return 0.0;
    }
    let sum: f64 = frame.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    (sum / frame.len() as f64) as f32
}

/// Measures how often the signal changes sign, per sample.
///
/// Values no larger than `dead_zone` in magnitude keep the sign seen last, so
/// faint hiss around zero is not counted. The result lies between 0 and 1;
/// frames with fewer than two samples give 0.
pub fn zero_crossing_rate(frame: &[f32], dead_zone: f32) -> f32 {
    if frame.len() < 2 {
        return 0.0;
    }
    let mut crossings = 0u32;
    let mut positive: Option<bool> = None;
    for &x in frame {
        if x.abs() <= dead_zone {
            continue;
        }
        let sign = x > 0.0;
        if positive.is_some_and(|before| before != sign) {
            crossings += 1;
        }
        positive = Some(sign);
    }
    crossings as f32 / (frame.len() - 1) as f32
}

/// Estimates the background level from the quietest tenth of the frames.
///
/// The energies are ranked and the mean of the lowest ten per cent, at least one
/// frame, is taken. NaN energies are ignored; without any usable frame the floor
/// is zero.
#[must_use]
pub fn noise_floor(energies: &[f32]) -> f32 {
    let mut ranked: Vec<f32> = energies.iter().copied().filter(|e| !e.is_nan()).collect();
    if ranked.is_empty() {
        return 0.0;
    }
    ranked.sort_by(f32::total_cmp);
    let quiet = &ranked[..(ranked.len() / 10).max(1)];
    quiet.iter().sum::<f32>() / quiet.len() as f32
}

/// Thresholds of the detector, relative to the noise floor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Factor over the floor at which speech begins.
    pub enter: f32,
    /// Lower factor below which speech ends.
    pub leave: f32,
    /// Frames that must stay below `leave` before speech is over.
    pub hangover: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds {
            enter: 6.0,
            leave: 3.0,
            hangover: 8,
        }
    }
}

/// Decides frame by frame whether somebody is speaking.
///
/// Two thresholds give hysteresis: speech starts when the energy exceeds
/// `enter` times `floor` and lasts until it has been below `leave` times `floor`
/// for more than `hangover` frames in a row. Those frames still count as speech.
#[must_use]
pub fn detect_speech(energies: &[f32], floor: f32, limits: Thresholds) -> Vec<bool> {
    let mut speaking = false;
    let mut quiet = 0;
    energies
        .iter()
        .map(|&energy| {
            if energy > limits.enter * floor {
                speaking = true;
            }
            quiet = if energy < limits.leave * floor {
                quiet + 1
            } else {
                0
            };
            if quiet > limits.hangover {
                speaking = false;
            }
            speaking
        })
        .collect()
}

/// Turns frame decisions into sample ranges.
///
/// Runs of speech frames become ranges from the first frame's start to the last
/// frame's start plus `hop`. Ranges closer than `min_gap` samples are joined,
/// and what is then shorter than `min_len` is dropped. Pauses inside words are
/// bridged that way.
pub fn speech_segments(
    decisions: &[bool],
    hop: usize,
    min_gap: usize,
    min_len: usize,
) -> Vec<SampleRange> {
    let mut segments: Vec<SampleRange> = Vec::new();
    for (index, _) in decisions.iter().enumerate().filter(|(_, &speech)| speech) {
        let start = index * hop;
        match segments.last_mut() {
            Some(last) if start == last.end || start - last.end < min_gap => {
                last.end = start + hop;
            }
            _ => segments.push(start..start + hop),
        }
    }
    segments.retain(|s| s.len() >= min_len);
    segments
}

/// Cuts silence off both ends of a recording.
///
/// The samples whose magnitude exceeds `threshold` are located; the slice from
/// `margin` samples before the first to `margin` after the last is returned,
/// clipped to the recording. A recording without such samples gives an empty
/// slice.
pub fn trim_silence(signal: &[f32], threshold: f32, margin: usize) -> &[f32] {
    let loud = |x: &f32| x.abs() > threshold;
    match (signal.iter().position(loud), signal.iter().rposition(loud)) {
        (Some(first), Some(last)) => {
            let start = first.saturating_sub(margin);
            let end = last.saturating_add(margin + 1).min(signal.len());
            &signal[start..end]
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_measures() {
        assert_eq!(mean_energy(&[]), 0.0);
        assert!((mean_energy(&crate::sine(10.0, 1000.0, 1000)) - 0.5).abs() < 1e-3);
        assert_eq!(zero_crossing_rate(&[1.0, -1.0, 1.0, -1.0, 1.0], 0.0), 1.0);
        assert_eq!(zero_crossing_rate(&[1.0, -0.1, 1.0, -1.0, 0.0], 0.2), 0.25);
        assert_eq!(noise_floor(&[f32::NAN, 4.0, 2.0]), 2.0);
    }

    #[test]
    fn hysteresis_and_hangover() {
        let energies = [1.0, 7.0, 4.0, 2.0, 4.0, 2.0, 2.0, 4.0];
        let limits = Thresholds {
            enter: 6.0,
            leave: 3.0,
            hangover: 1,
        };
        let decisions = detect_speech(&energies, 1.0, limits);
        assert_eq!(
            decisions,
            [false, true, true, true, true, true, false, false]
        );
    }

    #[test]
    fn segments() {
        let decisions = [true, false, true, true, false, false, false, true];
        assert_eq!(speech_segments(&decisions, 10, 15, 20), vec![0..40; 1]);
        assert_eq!(speech_segments(&decisions, 10, 0, 0).len(), 3);
    }

    #[test]
    fn trimming() {
        let signal = [0.0, 0.0, 0.5, 0.0, -0.5, 0.0, 0.0, 0.0];
        assert_eq!(trim_silence(&signal, 0.1, 1).len(), 5);
        assert!(trim_silence(&signal, 0.9, 3).is_empty());
    }
}
