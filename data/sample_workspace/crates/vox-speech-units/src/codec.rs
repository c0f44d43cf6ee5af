//! Compact sample encodings and the container around them.

use std::fmt;

const BIAS: i32 = 0x84;
const CLIP: i32 = 32_635;

/// Compresses a 16-bit sample to eight µ-law bits.
///
/// The magnitude is clipped, biased, and written as three exponent and four
/// mantissa bits below the sign; all bits are inverted, as telephone lines want.
///
/// # Examples
///
/// ```
/// use vox_speech_units::codec::encode_mulaw;
/// assert_eq!(encode_mulaw(0), 0xff);
/// assert_eq!(encode_mulaw(-32_768), 0x00);
/// ```
#[must_use]
pub const fn encode_mulaw(sample: i16) -> u8 {
    let value = sample as i32;
    let sign = if value < 0 { 0x80u8 } else { 0 };
    let magnitude = if value < 0 { -value } else { value };
    let clipped = if magnitude > CLIP { CLIP } else { magnitude };
    let biased = clipped + BIAS;
    let exponent = 24 - biased.leading_zeros() as i32;
    let mantissa = (biased >> (exponent + 3)) & 0x0f;
    !(sign | ((exponent as u8) << 4) | mantissa as u8)
}

/// Expands eight µ-law bits to a 16-bit sample.
///
/// The result is the middle of the interval that [`encode_mulaw`] maps to this
/// code, so the error grows with the magnitude and stays near three per cent.
#[must_use]
pub const fn decode_mulaw(code: u8) -> i16 {
    let bits = !code;
    let exponent = (bits >> 4) & 0x07;
    let mantissa = (bits & 0x0f) as i32;
    let magnitude = (((mantissa << 3) + BIAS) << exponent) - BIAS;
    if bits & 0x80 != 0 {
        -magnitude as i16
    } else {
        magnitude as i16
    }
}

/// Converts floating-point samples to 16 bits with triangular dither.
///
/// Two xorshift draws per sample are subtracted from each other to make noise of
/// at most one step, which turns rounding distortion into a faint even hiss.
/// Values beyond the range are clipped, NaN becomes zero. The same seed always
/// gives the same output.
pub fn quantize_dithered(signal: &[f32], seed: u32) -> Vec<i16> {
    let mut state = seed | 1;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32
    };
    signal
        .iter()
        .map(|&x| {
            let noise = draw() - draw();
            let scaled = (x * 32_767.0 + noise).round();
            scaled.clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// What the header of a WAVE file says about its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveInfo {
    /// 1 for integer PCM, 3 for floats, 7 for µ-law.
    pub format: u16,
    /// Interleaved channels.
    pub channels: u16,
    /// Frames per second.
    pub rate: u32,
    /// Bits of one sample.
    pub bits: u16,
    /// Where the sample bytes lie in the file.
    pub data: std::ops::Range<usize>,
}

/// Why a file is not a usable WAVE file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaveError {
    /// The `RIFF....WAVE` signature is missing.
    Signature,
    /// A chunk reaches past the end of the file.
    Truncated,
    /// No `fmt ` chunk came before the samples.
    NoFormat,
    /// There is no `data` chunk.
    NoData,
}

impl fmt::Display for WaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WaveError::Signature => "not a WAVE file",
            WaveError::Truncated => "a chunk is cut off",
            WaveError::NoFormat => "no format chunk before the samples",
            WaveError::NoData => "no sample chunk",
        })
    }
}

impl std::error::Error for WaveError {}

fn le_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Reads the chunks of a WAVE file up to its samples.
///
/// Unknown chunks are skipped, with the pad byte after an odd length. A data
/// chunk that claims more bytes than there are is shortened to the file, since
/// interrupted recordings look like that.
///
/// # Errors
///
/// One of the [`WaveError`] kinds; other chunks must lie wholly in the file.
pub fn parse_wave(file: &[u8]) -> Result<WaveInfo, WaveError> {
    if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WAVE") {
        return Err(WaveError::Signature);
    }
    let mut format = None;
    let mut at = 12;
    while let Some(id) = file.get(at..at + 4) {
        let len = le_u32(file, at + 4).ok_or(WaveError::Truncated)? as usize;
        let body = at + 8;
        if id == b"data" {
            let (kind, channels, rate, bits) = format.ok_or(WaveError::NoFormat)?;
            let end = body.saturating_add(len).min(file.len());
            return Ok(WaveInfo {
                format: kind,
                channels,
                rate,
                bits,
                data: body..end,
            });
        }
        let content = body
            .checked_add(len)
            .and_then(|end| file.get(body..end))
            .ok_or(WaveError::Truncated)?;
        if id == b"fmt " {
            let fields = || {
                let rate = le_u32(content, 4)?;
                Some((
                    le_u16(content, 0)?,
                    le_u16(content, 2)?,
                    rate,
                    le_u16(content, 14)?,
                ))
            };
            format = Some(fields().ok_or(WaveError::Truncated)?);
        }
        at = body + len + len % 2;
    }
    Err(WaveError::NoData)
}

/// Builds a complete mono 16-bit WAVE file around samples.
///
/// The header is the plain 44-byte form. Sizes that do not fit the format's
/// 32-bit fields saturate, which players treat as "until the end".
pub fn write_wave(samples: &[i16], rate: u32) -> Vec<u8> {
    let data_len = u32::try_from(samples.len() * 2).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&data_len.saturating_add(36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16u32.to_le_bytes());
    for field in [1u16, 1] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    file.extend_from_slice(&rate.to_le_bytes());
    file.extend_from_slice(&rate.saturating_mul(2).to_le_bytes());
    for field in [2u16, 16] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    file.extend_from_slice(b"data");
    file.extend_from_slice(&data_len.to_le_bytes());
    file.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mulaw_codes_are_stable() {
        for code in 0..=255u8 {
            let again = encode_mulaw(decode_mulaw(code));
            assert!(again == code || decode_mulaw(code) == 0);
        }
        for sample in (-32_000..32_000).step_by(111) {
            let back = i32::from(decode_mulaw(encode_mulaw(sample as i16)));
            assert!((back - sample).abs() <= 8 + sample.abs() / 25);
        }
    }

    #[test]
    fn dither_is_small_and_clipped() {
        let out = quantize_dithered(&[0.5, 2.0, f32::NAN, -2.0], 9);
        assert!((i32::from(out[0]) - 16_384).abs() <= 1);
        assert_eq!(&out[1..], [32_767, 0, -32_768]);
    }

    #[test]
    fn wave_round_trip() {
        let file = write_wave(&[1, -2, 3], 16_000);
        let info = parse_wave(&file).expect("well formed");
        assert_eq!((info.rate, info.bits, info.data.len()), (16_000, 16, 6));
        assert_eq!(parse_wave(&file[..36]), Err(WaveError::NoData));
        assert_eq!(parse_wave(&file[..30]), Err(WaveError::Truncated));
        assert_eq!(parse_wave(b"RIFX"), Err(WaveError::Signature));
    }
}
