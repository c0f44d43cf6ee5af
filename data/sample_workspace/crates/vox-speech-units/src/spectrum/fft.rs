//! The discrete Fourier transform.

use std::f64::consts::TAU;

/// A complex number as real and imaginary part.
pub type Complex = (f64, f64);

/// Transforms a buffer whose length is a power of two, in place.
///
/// The values are first put in bit-reversed order and then combined by
/// butterflies of doubling size (Cooley and Tukey). With `inverse` the sign of
/// the exponent is turned and the result divided by the length, so the two
/// directions undo each other. Other lengths leave the buffer as it is and give
/// `false`; lengths 0 and 1 are trivially done.
pub fn fft_in_place(data: &mut [Complex], inverse: bool) -> bool {
    let n = data.len();
    if n <= 1 {
        return true;
    }
    if !n.is_power_of_two() {
        return false;
    }
    let shift = usize::BITS - n.trailing_zeros();
    for i in 0..n {
        let j = i.reverse_bits() >> shift;
        if i < j {
            data.swap(i, j);
        }
    }
    let sign = if inverse { 1.0 } else { -1.0 };
    let mut half = 1;
    while half < n {
        for k in 0..half {
            let (sin, cos) = (sign * TAU * k as f64 / (2 * half) as f64).sin_cos();
            for start in (k..n).step_by(2 * half) {
                let (a, b) = (data[start], data[start + half]);
                let turned = (b.0 * cos - b.1 * sin, b.0 * sin + b.1 * cos);
                data[start] = (a.0 + turned.0, a.1 + turned.1);
                data[start + half] = (a.0 - turned.0, a.1 - turned.1);
            }
        }
        half *= 2;
    }
    if inverse {
        let scale = 1.0 / n as f64;
        data.iter_mut()
            .for_each(|c| *c = (c.0 * scale, c.1 * scale));
    }
    true
}

/// Computes the power of a real frame in each bin up to half the sample rate.
///
/// The frame is padded with zeros to the next power of two `n`; `n / 2 + 1`
/// squared magnitudes are returned, divided by `n`. An empty frame gives a
/// single zero bin.
#[must_use]
pub fn power_spectrum(frame: &[f32]) -> Vec<f32> {
    let n = frame.len().next_power_of_two();
    let mut data: Vec<Complex> = frame.iter().map(|&x| (f64::from(x), 0.0)).collect();
    data.resize(n, (0.0, 0.0));
    fft_in_place(&mut data, false);
    data[..n / 2 + 1]
        .iter()
        .map(|&(re, im)| ((re * re + im * im) / n as f64) as f32)
        .collect()
}

/// Measures the power at a single frequency without a full transform.
///
/// Goertzel's recurrence needs one multiplication per sample, which is cheaper
/// when only a few tones matter. The frequency need not fall on a bin. The
/// result is scaled by the frame length like [`power_spectrum`] and is 0 for an
/// empty frame.
pub fn goertzel_power(frame: &[f32], rate: f32, hz: f32) -> f32 {
    if frame.is_empty() {
        return 0.0;
    }
    let omega = TAU * f64::from(hz) / f64::from(rate);
    let factor = 2.0 * omega.cos();
    let (mut before, mut last) = (0.0f64, 0.0f64);
    for &x in frame {
        let next = f64::from(x) + factor * last - before;
        before = last;
        last = next;
    }
    let power = last * last + before * before - factor * last * before;
    (power / frame.len() as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_restores() {
        let original: Vec<Complex> = (0..32)
            .map(|i| ((i * i % 7) as f64, (i % 3) as f64))
            .collect();
        let mut data = original.clone();
        assert!(fft_in_place(&mut data, false) && fft_in_place(&mut data, true));
        for (a, b) in data.iter().zip(&original) {
            assert!((a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9);
        }
        assert!(!fft_in_place(&mut [(0.0, 0.0); 6], false));
    }

    #[test]
    fn a_sine_fills_one_bin() {
        let frame = crate::sine(1000.0, 8000.0, 64);
        let power = power_spectrum(&frame);
        assert_eq!(power.len(), 33);
        assert!(power[8] > 15.9 && power.iter().sum::<f32>() < 16.1);
        assert!((goertzel_power(&frame, 8000.0, 1000.0) - power[8]).abs() < 1e-2);
    }
}
