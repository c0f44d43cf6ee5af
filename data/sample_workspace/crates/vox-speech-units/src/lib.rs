//! Signal and phoneme routines for the Vox speech front end.
//!
//! Samples are `f32` in the range -1.0 to 1.0 unless stated otherwise, rates are
//! in hertz. Nothing here keeps state between calls except where a type does so
//! in plain sight.

pub mod align;
pub mod codec;
pub mod frames;
pub mod level;
pub mod phones;
pub mod pitch;
pub mod resample;
pub mod spectrum;
pub mod vad;

pub use frames::Framing;
pub use phones::{Phone, PhoneKind};

/// A stretch of a recording in samples, end excluded.
pub type SampleRange = std::ops::Range<usize>;

/// Generates a sine of unit amplitude for tests.
#[cfg(test)]
pub(crate) fn sine(hz: f32, rate: f32, len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| (std::f32::consts::TAU * hz * i as f32 / rate).sin())
        .collect()
}
