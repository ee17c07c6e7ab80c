//! The fast checks on real packets: what is a copy, what is out of proportion, and what is neither.

use covey_compression::{CodecConfig, ModelCodec, SparseUpdate, TensorShape};
use covey_protocol::record::ExclusionReason;
use covey_scoring::{Checks, Finding, checks::OverlapVerdict};

fn codec() -> ModelCodec {
    let tensor = TensorShape {
        name: "w".into(),
        shape: vec![128, 192],
    };
    ModelCodec::new(&[tensor], &CodecConfig::default()).expect("a codec")
}

/// Roughly normal values of deviation 1.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count)
        .map(|_| 1.732 * (next() + next() + next() + next()))
        .collect()
}

fn update(delta: &[f32]) -> SparseUpdate {
    let codec = codec();
    let zeros = vec![0.0; delta.len()];
    let payload = codec.compress(delta, &zeros).expect("compressed").payload;
    codec.decode(&payload).expect("decoded")
}

/// An honest packet: half of its variance is what everyone else finds, too.
fn honest(seed: u64) -> Vec<f32> {
    let count = codec().parameters();
    let common = noise(1, count);
    let own = noise(100 + seed, count);
    common
        .iter()
        .zip(own)
        .map(|(a, b)| 0.01 * (a + b))
        .collect()
}

fn judge(step: u64, updates: &[&SparseUpdate], last: &[SparseUpdate]) -> Vec<Finding> {
    Checks::default().judge(step, updates, last)
}

#[test]
fn honest_packets_that_share_a_direction_pass_at_any_step() {
    let updates: Vec<SparseUpdate> = (0..8).map(|n| update(&honest(n))).collect();
    let overlap = updates[0].index_overlap(&updates[1]);
    assert!(overlap > 0.05, "they do share entries: {overlap}");
    for step in [0, 19, 20, 1000] {
        for finding in judge(step, &updates.iter().collect::<Vec<_>>(), &[]) {
            assert_eq!(finding.fault, None);
            assert_eq!(finding.overlap, OverlapVerdict::Clear);
        }
    }
}

#[test]
fn the_later_of_two_equal_packets_is_the_copy_also_when_it_is_rescaled() {
    let (original, other) = (update(&honest(0)), update(&honest(1)));
    let louder: Vec<f32> = original.decompress().iter().map(|v| v * 3.0).collect();
    for copy in [original.clone(), update(&louder)] {
        let findings = judge(0, &[&original, &other, &copy], &[]);
        let faults: Vec<_> = findings.iter().map(|finding| finding.fault).collect();
        assert_eq!(faults, [None, None, Some(ExclusionReason::Copied)]);
        assert_eq!(findings[2].overlap, OverlapVerdict::Ban);
    }
}

#[test]
fn a_copy_of_the_last_round_disturbed_by_noise_is_found() {
    let last = update(&honest(0));
    let quiet = noise(7, codec().parameters());
    let disturbed: Vec<f32> = last
        .decompress()
        .iter()
        .zip(quiet)
        .map(|(value, noise)| value + 0.002 * noise)
        .collect();
    let findings = judge(0, &[&update(&honest(1)), &update(&disturbed)], &[last]);
    assert_eq!(findings[0].fault, None);
    assert_eq!(findings[1].fault, Some(ExclusionReason::Copied));
}

#[test]
fn the_ladder_of_the_gauntlet_applies_from_outer_step_twenty() {
    // A packet with eleven of twenty entries of another, and the rest its own.
    let original = update(&honest(0));
    let (copied, own) = (original.decompress(), update(&honest(1)).decompress());
    let mut entry = 0;
    let half: Vec<f32> = copied
        .iter()
        .zip(&own)
        .map(|(copied, own)| {
            entry += usize::from(*copied != 0.0);
            let kept = *copied != 0.0 && entry % 20 < 11;
            if kept { *copied } else { 0.3 * own }
        })
        .collect();
    let half = update(&half);
    let overlap = half.similarity(&original);
    assert!((0.5..0.6).contains(&overlap.overlap), "{overlap:?}");
    let early = judge(19, &[&original, &half], &[]);
    assert_eq!(early[1].fault, None);
    let late = judge(20, &[&original, &half], &[]);
    assert_eq!(late[1].fault, Some(ExclusionReason::Copied));
    assert_eq!(late[1].overlap, OverlapVerdict::Reset);
}

#[test]
fn zeros_and_giants_are_out_and_do_not_make_others_look_wrong() {
    let zeros = update(&vec![0.0; codec().parameters()]);
    let giant: Vec<f32> = honest(9).iter().map(|v| v * 50.0).collect();
    let (a, b, giant) = (update(&honest(0)), update(&honest(1)), update(&giant));
    let findings = judge(0, &[&zeros, &a, &giant, &b, &zeros], &[]);
    let faults: Vec<_> = findings.iter().map(|finding| finding.fault).collect();
    assert_eq!(
        faults,
        [
            Some(ExclusionReason::Empty),
            None,
            Some(ExclusionReason::Norm),
            None,
            Some(ExclusionReason::Empty),
        ]
    );
    assert!(findings[2].norm > 10.0 && findings[1].norm < 2.0);
}

#[test]
fn the_opposite_of_an_earlier_packet_is_a_copy_too() {
    let original = honest(0);
    let turned: Vec<f32> = update(&original).decompress().iter().map(|v| -v).collect();
    let findings = judge(0, &[&update(&original), &update(&turned)], &[]);
    assert_eq!(findings[1].fault, Some(ExclusionReason::Copied));
}
