//! Fundamental frequency.

/// The outcome of a pitch search in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pitch {
    /// Frequency in hertz.
    pub hz: f32,
    /// Height of the correlation peak, near 1 for clean voiced speech.
    pub clarity: f32,
}

/// Correlates a frame with itself shifted by `lag`, normalised to -1 to 1.
///
/// Only the overlapping parts enter, and each is divided by its own energy, so
/// the result does not fall just because the overlap gets shorter. Silence and
/// lags that leave no overlap give 0.
#[must_use]
pub fn normalized_correlation(frame: &[f32], lag: usize) -> f32 {
    if lag >= frame.len() {
        return 0.0;
    }
    let (head, tail) = (&frame[..frame.len() - lag], &frame[lag..]);
    let (mut cross, mut left, mut right) = (0.0f64, 0.0f64, 0.0f64);
    for (&a, &b) in head.iter().zip(tail) {
        let (a, b) = (f64::from(a), f64::from(b));
        cross += a * b;
        left += a * a;
        right += b * b;
    }
    let scale = (left * right).sqrt();
    if scale < 1e-12 {
        0.0
    } else {
        (cross / scale) as f32
    }
}

/// Places a peak between samples by fitting a parabola through three values.
///
/// `at` must be an interior index. Returns the refined position and height. If
/// the three values are collinear or `at` is not a local maximum, the sample
/// itself is returned.
pub(crate) fn parabolic_peak(values: &[f32], at: usize) -> (f32, f32) {
    let (Some(&left), Some(&right)) = (
        at.checked_sub(1).and_then(|i| values.get(i)),
        values.get(at + 1),
    ) else {
        return (at as f32, values.get(at).copied().unwrap_or(0.0));
    };
    let mid = values[at];
    let curve = left - 2.0 * mid + right;
    if curve >= 0.0 || mid < left || mid < right {
        return (at as f32, mid);
    }
    let shift = 0.5 * (left - right) / curve;
    (at as f32 + shift, mid - 0.25 * (left - right) * shift)
}

/// Searches a frame for the pitch of a voice between two frequencies.
///
/// Correlations are computed for all lags in the range. The first local peak
/// that reaches nine tenths of the highest one wins, which avoids answers an
/// octave too low; its place is refined between samples. `None` if the range is
/// empty, the frame too short, or the peak below `min_clarity`.
#[must_use]
pub fn find_pitch(
    frame: &[f32],
    rate: f32,
    min_hz: f32,
    max_hz: f32,
    min_clarity: f32,
) -> Option<Pitch> {
    if !(min_hz > 0.0 && min_hz < max_hz) {
        return None;
    }
    let shortest = ((rate / max_hz).floor() as usize).max(2);
    let longest = ((rate / min_hz).ceil() as usize).min(frame.len() / 2);
    if shortest >= longest {
        return None;
    }
    let scores: Vec<f32> = (shortest - 1..=longest + 1)
        .map(|lag| normalized_correlation(frame, lag))
        .collect();
    let inner = 1..scores.len() - 1;
    let is_peak = |i: usize| scores[i] >= scores[i - 1] && scores[i] >= scores[i + 1];
    let top = inner
        .clone()
        .filter(|&i| is_peak(i))
        .map(|i| scores[i])
        .fold(0.0, f32::max);
    if top < min_clarity || top <= 0.0 {
        return None;
    }
    let first = inner
        .into_iter()
        .find(|&i| is_peak(i) && scores[i] >= 0.9 * top)?;
    let (position, clarity) = parabolic_peak(&scores, first);
    let lag = position + (shortest - 1) as f32;
    Some(Pitch {
        hz: rate / lag,
        clarity,
    })
}

/// Removes single-frame jumps from a pitch track with a running median.
///
/// Each voiced frame is replaced by the median of the voiced frames at most
/// `reach` frames away, the lower one of two middle values. Unvoiced frames
/// (`None`) stay unvoiced.
pub fn smooth_track(track: &[Option<f32>], reach: usize) -> Vec<Option<f32>> {
    (0..track.len())
        .map(|i| {
            track[i]?;
            let end = (i + reach + 1).min(track.len());
            let mut near: Vec<f32> = track[i.saturating_sub(reach)..end]
                .iter()
                .flatten()
                .copied()
                .collect();
            near.sort_by(f32::total_cmp);
            near.get((near.len() - 1) / 2).copied()
        })
        .collect()
}

/// Fills short unvoiced gaps by straight lines between their voiced ends.
///
/// Gaps of at most `max_gap` frames are bridged. Gaps at the beginning and the
/// end of the track, which have one end only, are left open.
pub fn bridge_gaps(track: &mut [Option<f32>], max_gap: usize) {
    let mut last: Option<(usize, f32)> = None;
    for i in 0..track.len() {
        let Some(here) = track[i] else {
            continue;
        };
        if let Some((from, value)) = last {
            let gap = i - from - 1;
            if gap <= max_gap {
                let slope = (here - value) / (i - from) as f32;
                for (k, slot) in track[from + 1..i].iter_mut().enumerate() {
                    *slot = Some(value + slope * (k + 1) as f32);
                }
            }
        }
        last = Some((i, here));
    }
}

/// Expresses a frequency as the nearest note and the deviation in cents.
///
/// Equal temperament with A4 at 440 Hz is assumed; the name is a letter, an
/// optional `#` and the octave number. The deviation lies between -50 and 50.
/// `None` unless the frequency is positive and finite.
pub fn nearest_note(hz: f32) -> Option<(String, f32)> {
    const NAMES: [&str; 12] = [
        "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B",
    ];
    if !hz.is_finite() || hz <= 0.0 {
        return None;
    }
    let semitones = 69.0 + 12.0 * (hz / 440.0).log2();
    let nearest = semitones.round();
    let number = nearest as i32;
    let name = NAMES[number.rem_euclid(12) as usize];
    let octave = number.div_euclid(12) - 1;
    Some((format!("{name}{octave}"), (semitones - nearest) * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_are_found() {
        for hz in [82.0, 110.0, 187.5, 300.0] {
            let frame = crate::sine(hz, 8000.0, 512);
            let pitch = find_pitch(&frame, 8000.0, 60.0, 400.0, 0.5).expect("voiced");
            assert!(
                (pitch.hz - hz).abs() / hz < 0.01,
                "{hz} became {}",
                pitch.hz
            );
        }
        assert_eq!(find_pitch(&[0.0; 512], 8000.0, 60.0, 400.0, 0.5), None);
        assert_eq!(find_pitch(&[0.0; 512], 8000.0, 400.0, 60.0, 0.5), None);
    }

    #[test]
    fn tracks() {
        let track = [Some(100.0), Some(300.0), Some(102.0), None, Some(104.0)];
        assert_eq!(smooth_track(&track, 1)[1], Some(102.0));
        assert_eq!(smooth_track(&track, 1)[3], None);
        let mut gaps = [None, Some(100.0), None, None, Some(130.0), None];
        bridge_gaps(&mut gaps, 2);
        assert_eq!(
            gaps,
            [
                None,
                Some(100.0),
                Some(110.0),
                Some(120.0),
                Some(130.0),
                None
            ]
        );
    }

    #[test]
    fn notes() {
        assert_eq!(nearest_note(440.0), Some(("A4".into(), 0.0)));
        let (name, cents) = nearest_note(261.0).expect("positive");
        assert_eq!(name, "C4");
        assert!(cents < 0.0 && cents > -10.0);
        assert_eq!(nearest_note(0.0), None);
    }
}
