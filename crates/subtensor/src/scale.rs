//! SCALE's compact integers, all of the codec that fixed-width fields leave to do.
//!
//! The two lowest bits of the first byte say how many bytes follow; a small number takes one byte.

/// Appends `value` in compact form.
pub(crate) fn compact(value: u128, out: &mut Vec<u8>) {
    let bytes = value.to_le_bytes();
    let (mode, length) = match value {
        0..0x40 => (0, 1),
        0x40..0x4000 => (1, 2),
        0x4000..0x4000_0000 => (2, 4),
        // No spare bits in the number: a byte that says how many follow, less four.
        _ => {
            let length = (128 - value.leading_zeros()).div_ceil(8).max(4);
            out.push((length.saturating_sub(4) << 2) as u8 | 3);
            out.extend(bytes.iter().take(length as usize));
            return;
        }
    };
    out.extend((value << 2 | mode).to_le_bytes().iter().take(length));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compacted(value: u128) -> Vec<u8> {
        let mut out = Vec::new();
        compact(value, &mut out);
        out
    }

    fn read(bytes: &[u8]) -> u128 {
        let little_endian = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0u128, |value, byte| value << 8 | u128::from(*byte))
        };
        match bytes[0] & 3 {
            3 => {
                assert_eq!(bytes.len(), usize::from(bytes[0] >> 2) + 5);
                little_endian(&bytes[1..])
            }
            mode => {
                assert_eq!(bytes.len(), 1 << mode);
                little_endian(bytes) >> 2
            }
        }
    }

    #[test]
    fn examples_of_the_codec_documentation() {
        for (value, expected) in [
            (0, vec![0x00]),
            (1, vec![0x04]),
            (42, vec![0xa8]),
            (69, vec![0x15, 0x01]),
            (65_535, vec![0xfe, 0xff, 0x03, 0x00]),
            (
                100_000_000_000_000,
                vec![0x0b, 0x00, 0x40, 0x7a, 0x10, 0xf3, 0x5a],
            ),
        ] {
            assert_eq!(compacted(value), expected, "{value}");
        }
    }

    #[test]
    fn each_form_begins_and_ends_where_it_should() {
        for (value, length) in [
            (0x3f, 1),
            (0x40, 2),
            (0x3fff, 2),
            (0x4000, 4),
            (0x3fff_ffff, 4),
            (0x4000_0000, 5),
            (0xffff_ffff, 5),
            (0x1_0000_0000, 6),
            (u128::from(u64::MAX), 9),
            (u128::MAX, 17),
        ] {
            assert_eq!(compacted(value).len(), length, "{value:#x}");
            assert_eq!(read(&compacted(value)), value);
        }
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(value: u128, shift in 0u32..128) {
            let value = value >> shift;
            prop_assert_eq!(read(&compacted(value)), value);
        }
    }
}
