//! Bits on the wire: 12-bit indices two to three bytes, 2-bit codes four to a byte, low bits first.
//!
//! Index pairs follow the Templar code; the 2-bit form is ours, since that code spends a whole byte per
//! value. One set of numbers has one encoding, so unused bits of the last byte must be zero.

use crate::error::CompressionError;
use crate::quantiser::CODE_MASK;

/// Bits of an index inside its chunk.
pub const INDEX_BITS: u32 = 12;

/// Bits of a quantised value.
pub const CODE_BITS: u32 = 2;

const CODES_PER_BYTE: usize = 4;
const INDEX_LIMIT: u16 = 1 << INDEX_BITS;

/// Bytes that `count` indices take; `count` is even.
#[must_use]
pub const fn index_bytes(count: usize) -> usize {
    count / 2 * 3
}

/// Bytes that `count` codes take.
#[must_use]
pub const fn code_bytes(count: usize) -> usize {
    count.div_ceil(CODES_PER_BYTE)
}

/// Appends packed indices to `out`.
///
/// # Errors
/// An odd number of indices, or one of more than 12 bits.
pub fn pack_indices(indices: &[u16], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let (pairs, rest) = indices.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(CompressionError::Packing("indices travel in pairs"));
    }
    if indices.iter().any(|index| *index >= INDEX_LIMIT) {
        return Err(CompressionError::Packing("an index has at most 12 bits"));
    }
    out.extend(pairs.iter().flat_map(|[first, second]| {
        [
            *first as u8,
            (first >> 8) as u8 | (second << 4) as u8,
            (second >> 4) as u8,
        ]
    }));
    Ok(())
}

/// Appends the indices in `bytes` to `out`.
///
/// # Errors
/// A length that is not a multiple of three.
pub fn unpack_indices(bytes: &[u8], out: &mut Vec<u16>) -> Result<(), CompressionError> {
    let (triples, rest) = bytes.as_chunks::<3>();
    if !rest.is_empty() {
        return Err(CompressionError::Packing(
            "packed indices come in threes of bytes",
        ));
    }
    out.extend(triples.iter().flat_map(|[low, middle, high]| {
        let (low, middle, high) = (u16::from(*low), u16::from(*middle), u16::from(*high));
        [low | (middle & 15) << 8, middle >> 4 | high << 4]
    }));
    Ok(())
}

/// Appends packed codes to `out`.
///
/// # Errors
/// A code of more than 2 bits.
pub fn pack_codes(codes: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    if codes.iter().any(|code| *code > CODE_MASK) {
        return Err(CompressionError::Packing("a code has at most 2 bits"));
    }
    out.extend(codes.chunks(CODES_PER_BYTE).map(|group| {
        group
            .iter()
            .rev()
            .fold(0u8, |byte, code| byte << CODE_BITS | code)
    }));
    Ok(())
}

/// Appends the `count` codes in `bytes` to `out`.
///
/// # Errors
/// A length other than `count` codes take, or unused bits that are set.
pub fn unpack_codes(bytes: &[u8], count: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    if bytes.len() != code_bytes(count) {
        return Err(CompressionError::Packing(
            "wrong number of bytes for the codes",
        ));
    }
    let used = count % CODES_PER_BYTE;
    if let Some(last) = bytes.last().filter(|_| used != 0)
        && last >> (used as u32 * CODE_BITS) != 0
    {
        return Err(CompressionError::Packing(
            "unused bits after the codes are set",
        ));
    }
    let codes = bytes
        .iter()
        .flat_map(|byte| [0, 2, 4, 6].map(|shift| byte >> shift & CODE_MASK));
    out.extend(codes.take(count));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut out = Vec::new();
        assert!(pack_indices(&[1], &mut out).is_err());
        assert!(pack_indices(&[1, 4096], &mut out).is_err());
        assert!(pack_codes(&[4], &mut out).is_err());
        assert!(unpack_indices(&[0; 4], &mut Vec::new()).is_err());
        assert!(unpack_codes(&[0; 2], 4, &mut Vec::new()).is_err());
        assert!(unpack_codes(&[0b0000_0100], 1, &mut Vec::new()).is_err());
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn unpacking_inverts_packing(pairs in prop::collection::vec((0u16..4096, 0u16..4096), 0..200), codes in prop::collection::vec(0u8..4, 0..200)) {
            let indices: Vec<u16> = pairs.into_iter().flat_map(|(a, b)| [a, b]).collect();
            let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
            pack_indices(&indices, &mut packed).unwrap();
            prop_assert_eq!(packed.len(), index_bytes(indices.len()));
            unpack_indices(&packed, &mut unpacked).unwrap();
            prop_assert_eq!(unpacked, indices);

            let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
            pack_codes(&codes, &mut packed).unwrap();
            prop_assert_eq!(packed.len(), code_bytes(codes.len()));
            unpack_codes(&packed, codes.len(), &mut unpacked).unwrap();
            prop_assert_eq!(unpacked, codes);
        }

        #[test]
        fn packing_inverts_unpacking(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let bytes = &bytes[..bytes.len() / 3 * 3];
            let (mut indices, mut again) = (Vec::new(), Vec::new());
            unpack_indices(bytes, &mut indices).unwrap();
            pack_indices(&indices, &mut again).unwrap();
            prop_assert_eq!(again, bytes);
        }
    }
}
