//! Spectra and the features made from them.

mod fft;
mod mel;

pub use fft::{fft_in_place, goertzel_power, power_spectrum, Complex};
pub use mel::{cepstrum, hz_to_mel, mel_to_hz, MelBank};

/// The frequency below which a given share of the power lies.
///
/// `power` holds bins from zero to half the sample rate. The share is clamped to
/// the range 0 to 1, and the centre of the first bin at which the running sum
/// reaches it is returned. Silence gives 0.
#[must_use]
pub fn spectral_rolloff(power: &[f32], rate: f32, share: f32) -> f32 {
    let total: f32 = power.iter().sum();
    if total <= 0.0 || power.len() < 2 {
        return 0.0;
    }
    let wanted = total * share.clamp(0.0, 1.0);
    let mut running = 0.0;
    let bin = power.iter().position(|p| {
        running += p;
        running >= wanted
    });
    let bin_width = rate / 2.0 / (power.len() - 1) as f32;
    bin.unwrap_or(power.len() - 1) as f32 * bin_width
}

/// Measures how noise-like a spectrum is, from 0 for a tone to 1 for white noise.
///
/// This is the geometric mean of the bins over their arithmetic mean. Bins are
/// raised to a tiny positive value first so that a single empty one does not
/// force the result to zero; an empty spectrum counts as flat.
pub fn spectral_flatness(power: &[f32]) -> f32 {
    if power.is_empty() {
        return 1.0;
    }
    let n = power.len() as f64;
    let (mut log_sum, mut sum) = (0.0, 0.0);
    for &p in power {
        let p = f64::from(p).max(1e-12);
        log_sum += p.ln();
        sum += p;
    }
    ((log_sum / n).exp() / (sum / n)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolloff_and_flatness() {
        let power = [1.0, 1.0, 1.0, 1.0, 0.0];
        assert_eq!(spectral_rolloff(&power, 8000.0, 0.5), 1000.0);
        assert_eq!(spectral_rolloff(&[0.0; 5], 8000.0, 0.5), 0.0);
        assert!((spectral_flatness(&[0.3; 16]) - 1.0).abs() < 1e-5);
        assert!(spectral_flatness(&[0.0, 0.0, 1.0, 0.0]) < 1e-3);
    }
}
