//! The `SLC1` frame: one tensor's share of a payload, little endian.
//!
//! | offset | field | offset | field |
//! |---|---|---|---|
//! | 0 | `SLC1` | 16 | f32 shift |
//! | 4 | u32 chunks | 20 | f32 step |
//! | 8 | u16 chunk length | 24 | f32 lookup\[4\] |
//! | 10 | u16 k | 40 | u32 bytes of indices |
//! | 12 | u8 value bits (2) | 44 | u32 bytes of codes |
//! | 13 | u8 rule for vectors, then u16 0 | 48 | indices, then codes |
//!
//! What a reader would get wrong: the header is checked, never believed. Geometry comes from the run's
//! model, so a frame has exactly one acceptable length, and it is known before anything is allocated.
//! About half of single bit flips still decode; only a hash or signature over the message catches those.

use crate::config::OneDRule;
use crate::error::{CompressionError, FrameFault};
use crate::packing::{
    code_bytes, index_bytes, pack_codes, pack_indices, unpack_codes, unpack_indices,
};
use crate::quantiser::{BINS, MAX_STEP, MIN_STEP, Quantiser};

/// The first bytes of every frame; the digit is the format's version.
pub const MAGIC: [u8; 4] = *b"SLC1";

/// Bytes before the indices.
pub const HEADER_LEN: usize = 48;

const VALUE_BITS: u8 = crate::packing::CODE_BITS as u8;

/// What the run's model says about one tensor's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameGeometry {
    /// Number of chunks.
    pub chunks: u32,
    /// Values in a chunk, at most 4096.
    pub chunk_len: u16,
    /// Entries kept of a chunk: even, at least 2.
    pub k: u16,
    /// How vectors are cut in this run.
    pub one_d: OneDRule,
}

impl FrameGeometry {
    /// Entries in the frame.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.chunks as usize * self.k as usize
    }

    /// The frame's exact length in bytes.
    #[must_use]
    pub const fn frame_len(&self) -> usize {
        HEADER_LEN + index_bytes(self.entries()) + code_bytes(self.entries())
    }

    /// Appends a frame. `indices` and `codes` hold [`entries`](Self::entries) values, chunk by chunk.
    ///
    /// # Errors
    /// Indices or codes of another number or size.
    pub fn write(
        &self,
        quantiser: &Quantiser,
        indices: &[u16],
        codes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        if indices.len() != self.entries() || codes.len() != self.entries() {
            return Err(CompressionError::Packing(
                "not the frame's number of entries",
            ));
        }
        out.reserve(self.frame_len());
        out.extend(MAGIC);
        out.extend(self.chunks.to_le_bytes());
        out.extend(self.chunk_len.to_le_bytes());
        out.extend(self.k.to_le_bytes());
        out.extend([VALUE_BITS, self.one_d.to_byte(), 0, 0]);
        out.extend(quantiser.shift.to_le_bytes());
        out.extend(quantiser.step.to_le_bytes());
        out.extend(
            quantiser
                .lookup
                .iter()
                .flat_map(|entry| entry.to_le_bytes()),
        );
        out.extend((index_bytes(self.entries()) as u32).to_le_bytes());
        out.extend((code_bytes(self.entries()) as u32).to_le_bytes());
        pack_indices(indices, out)?;
        pack_codes(codes, out)
    }

    /// Reads a frame strictly, appending its entries to `indices` and `codes`. After an error those hold
    /// rubbish.
    ///
    /// # Errors
    /// Any byte that this geometry does not allow, or a value beyond `value_limit`.
    pub fn read(
        &self,
        frame: &[u8],
        value_limit: f32,
        indices: &mut Vec<u16>,
        codes: &mut Vec<u8>,
    ) -> Result<Quantiser, FrameFault> {
        if frame.len() != self.frame_len() {
            return Err(FrameFault::Length);
        }
        let mut reader = Reader(frame);
        let expect = |holds: bool, fault| if holds { Ok(()) } else { Err(fault) };
        expect(reader.take()? == MAGIC, FrameFault::Magic)?;
        expect(reader.u32()? == self.chunks, FrameFault::Geometry("chunks"))?;
        expect(
            reader.u16()? == self.chunk_len,
            FrameFault::Geometry("chunk length"),
        )?;
        expect(reader.u16()? == self.k, FrameFault::Geometry("k"))?;
        expect(
            reader.take()? == [VALUE_BITS],
            FrameFault::Geometry("value bits"),
        )?;
        expect(
            reader.take()? == [self.one_d.to_byte()],
            FrameFault::Geometry("vector rule"),
        )?;
        expect(reader.u16()? == 0, FrameFault::Geometry("reserved bytes"))?;
        let (shift, step) = (reader.f32()?, reader.f32()?);
        let mut lookup = [0.0; BINS];
        for entry in &mut lookup {
            *entry = reader.f32()?;
        }
        let quantiser = Quantiser {
            shift,
            step,
            lookup,
        };
        check_quantiser(&quantiser, value_limit)?;
        let (index_len, code_len) = (index_bytes(self.entries()), code_bytes(self.entries()));
        expect(
            reader.u32()? as usize == index_len,
            FrameFault::Geometry("bytes of indices"),
        )?;
        expect(
            reader.u32()? as usize == code_len,
            FrameFault::Geometry("bytes of codes"),
        )?;

        let (packed_indices, packed_codes) = reader
            .0
            .split_at_checked(index_len)
            .ok_or(FrameFault::Length)?;
        let first = indices.len();
        unpack_indices(packed_indices, indices).map_err(|_| FrameFault::Length)?;
        let unpacked = indices.get(first..).unwrap_or_default();
        let ascending = unpacked.chunks(usize::from(self.k.max(1))).all(|chunk| {
            chunk.is_sorted_by(|a, b| a < b)
                && chunk.last().is_none_or(|last| *last < self.chunk_len)
        });
        expect(ascending, FrameFault::Indices)?;
        unpack_codes(packed_codes, self.entries(), codes).map_err(|_| FrameFault::Padding)?;
        Ok(quantiser)
    }
}

/// What a decoder demands of the quantiser's numbers, whoever made them.
pub(crate) fn check_quantiser(quantiser: &Quantiser, value_limit: f32) -> Result<(), FrameFault> {
    let Quantiser {
        shift,
        step,
        lookup,
    } = quantiser;
    if !(shift.is_finite() && step.is_finite() && lookup.iter().all(|entry| entry.is_finite())) {
        return Err(FrameFault::NonFinite);
    }
    if !(MIN_STEP..=MAX_STEP).contains(&step.abs()) {
        return Err(FrameFault::Step);
    }
    if !quantiser
        .values()
        .iter()
        .all(|value| value.abs() <= value_limit)
    {
        return Err(FrameFault::Value);
    }
    Ok(())
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], FrameFault> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(FrameFault::Length)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u16(&mut self) -> Result<u16, FrameFault> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, FrameFault> {
        self.take().map(u32::from_le_bytes)
    }

    fn f32(&mut self) -> Result<f32, FrameFault> {
        self.take().map(f32::from_le_bytes)
    }
}
