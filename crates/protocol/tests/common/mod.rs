//! Strategies for everything that crosses the network.

use covey_protocol::{
    Hash, Identity, PartnerId, Round, SignatureBytes, VolunteerId,
    corpus::{MANIFEST_VERSION, Manifest, Shard},
    http::{ErrorCode, HeldOut, RunInfo},
    model::{ModelConfig, Preset},
    packet::PacketHeader,
    partner::NoCredit,
    record::{
        Agreement, Checkpoint, Commitment, Contribution, Exclusion, ExclusionReason, Replica,
        RoundRecord, SignedRecord,
    },
    run::{Averaging, CompressionSpec, InnerSpec, OuterSpec, RoundSpec, RunSpec},
    socket::{Activity, Backend, ClientFrame, Presence, ServerFrame},
};
use proptest::{collection::vec, option, prelude::*};

pub fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

pub fn volunteer() -> impl Strategy<Value = VolunteerId> {
    any::<[u8; 32]>().prop_map(VolunteerId)
}

pub fn signature() -> impl Strategy<Value = SignatureBytes> {
    vec(any::<u8>(), 64).prop_map(|bytes| SignatureBytes(bytes.try_into().expect("64 bytes")))
}

pub fn partner() -> impl Strategy<Value = PartnerId> {
    "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?".prop_map(|text| text.parse().expect("an id"))
}

pub fn identity() -> impl Strategy<Value = Identity> {
    any::<[u8; 32]>().prop_map(Identity::from_secret)
}

pub fn round() -> impl Strategy<Value = Round> {
    any::<u64>().prop_map(Round)
}

pub fn finite() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("finite", |value| value.is_finite())
}

pub fn header(volunteer: VolunteerId) -> impl Strategy<Value = PacketHeader> {
    (
        hash(),
        round(),
        hash(),
        1u32..10_001,
        any::<u32>(),
        finite(),
        finite(),
    )
        .prop_map(
            move |(run, round, base, inner_steps, tokens, first_loss, last_loss)| PacketHeader {
                run,
                volunteer,
                round,
                base,
                inner_steps,
                tokens,
                first_loss,
                last_loss,
            },
        )
}

pub fn model() -> impl Strategy<Value = ModelConfig> {
    prop_oneof![Just(Preset::Tiny), Just(Preset::Small), Just(Preset::Base)]
        .prop_map(Preset::config)
}

/// Settings as an operator would write them: decimal numbers of a few digits.
pub fn spec() -> impl Strategy<Value = RunSpec> {
    let inner = (
        1u32..10_001,
        1u32..4097,
        1u32..65,
        1u32..1_000_000,
        0u64..1_000_000,
    )
        .prop_map(|(steps, batch, shards, lr, warmup)| InnerSpec {
            steps,
            batch,
            shards,
            peak_lr: f64::from(lr) / 1e8,
            warmup,
            ..InnerSpec::default()
        });
    let rounds = (1_000u64..86_400_001, 0u64..600_001, 1u32..21, 1u64..10_001).prop_map(
        |(window_ms, grace_ms, max_contributions, checkpoint_every)| RoundSpec {
            window_ms,
            grace_ms,
            min_contributions: 1,
            max_contributions,
            checkpoint_every,
        },
    );
    let compression = (1u16..2049, 0.0f32..1.0, 0.001f32..1000.0).prop_map(
        |(half, feedback_decay, value_limit)| CompressionSpec {
            top_k: half * 2,
            feedback_decay,
            value_limit,
        },
    );
    let outer = (0.001f32..10.0, any::<bool>()).prop_map(|(lr, present)| OuterSpec {
        lr,
        averaging: if present {
            Averaging::MeanPresent
        } else {
            Averaging::MeanR
        },
    });
    (
        ("[a-zA-Z é]{1,20}", hash(), model(), hash()),
        inner,
        compression,
        outer,
        rounds,
    )
        .prop_map(
            |((name, seed, model, corpus), inner, compression, outer, rounds)| RunSpec {
                name,
                seed,
                model,
                corpus,
                inner,
                compression,
                outer,
                rounds,
            },
        )
}

pub fn manifest() -> impl Strategy<Value = Manifest> {
    let shards = || {
        let shard = (hash(), 1u32..524_289).prop_map(|(hash, tokens)| Shard { hash, tokens });
        vec(shard, 1..5)
    };
    (
        1u32..65_537,
        hash(),
        option::of(hash()),
        (shards(), shards()),
        (any::<u64>(), any::<u64>()),
        0.0f64..12.0,
    )
        .prop_map(
            |(vocabulary_size, vocabulary, tokenizer, (train, held_out), bytes, entropy)| {
                Manifest {
                    version: MANIFEST_VERSION,
                    vocabulary_size,
                    vocabulary,
                    tokenizer,
                    train,
                    held_out,
                    train_bytes: bytes.0,
                    held_out_bytes: bytes.1,
                    unigram_entropy: entropy,
                }
            },
        )
}

pub fn record() -> impl Strategy<Value = RoundRecord> {
    let contribution = (
        volunteer(),
        hash(),
        any::<u32>(),
        any::<u32>(),
        option::of(partner()),
    )
        .prop_map(
            |(volunteer, packet, inner_steps, tokens, partner)| Contribution {
                volunteer,
                packet,
                inner_steps,
                tokens,
                partner,
            },
        );
    let reason = proptest::sample::select(&ExclusionReason::ALL[..]);
    let exclusion =
        (volunteer(), hash(), reason).prop_map(|(volunteer, packet, reason)| Exclusion {
            volunteer,
            packet,
            reason,
        });
    let agreement = prop_oneof![
        Just(Agreement::Agreed),
        Just(Agreement::Disputed),
        Just(Agreement::Open)
    ];
    let replica = (volunteer(), volunteer(), agreement).prop_map(|(of, by, agreement)| Replica {
        of,
        by,
        agreement,
    });
    let commitment =
        (volunteer(), hash(), signature()).prop_map(|(volunteer, packet, signature)| Commitment {
            volunteer,
            packet,
            signature,
        });
    (
        (hash(), round(), option::of(hash()), hash()),
        (hash(), hash(), option::of(hash()), any::<u64>()),
        vec(contribution, 0..20),
        vec(exclusion, 0..5),
        (
            vec(commitment, 0..5),
            vec(replica, 0..3),
            vec(volunteer(), 0..3),
        ),
    )
        .prop_map(
            |(
                (run, round, previous, seed),
                (base, theta_after, update, update_len),
                contributions,
                excluded,
                (commitments, replicas, unproven),
            )| {
                RoundRecord {
                    run,
                    round,
                    previous,
                    seed,
                    base,
                    theta_after,
                    update,
                    update_len,
                    contributions,
                    excluded,
                    commitments,
                    replicas,
                    unproven,
                }
            },
        )
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    (round(), hash(), any::<u64>()).prop_map(|(round, theta, len)| Checkpoint { round, theta, len })
}

fn held_out() -> impl Strategy<Value = HeldOut> {
    (round(), finite()).prop_map(|(round, loss)| HeldOut { round, loss })
}

pub fn run_info() -> impl Strategy<Value = RunInfo> {
    (
        (any::<u16>(), hash(), spec(), volunteer()),
        (round(), hash(), checkpoint(), vec(held_out(), 0..5)),
        // Few digits: serde_json's own reading of 17-digit numbers may differ in the last bit.
        (0u32..12_000).prop_map(|milli| f64::from(milli) / 1000.0),
    )
        .prop_map(
            |((protocol, run, spec, coordinator), (round, base, checkpoint, held_out), entropy)| {
                RunInfo {
                    protocol,
                    run,
                    spec,
                    coordinator,
                    handovers: Vec::new(),
                    mirror: None,
                    round,
                    base,
                    checkpoint,
                    held_out,
                    unigram_entropy: entropy,
                }
            },
        )
}

pub fn code() -> impl Strategy<Value = ErrorCode> {
    use ErrorCode::*;
    prop::sample::select(vec![
        Malformed,
        TooLarge,
        Protocol,
        Signature,
        WrongRun,
        StaleRound,
        FutureRound,
        WrongBase,
        Duplicate,
        NotCommitted,
        Quota,
        RoundFull,
        Replaced,
        NotFound,
        Busy,
        Unavailable,
        Ledger,
    ])
}

fn backend() -> impl Strategy<Value = Backend> {
    prop_oneof![Just(Backend::WebGpu), Just(Backend::Flex)]
}

pub fn client_frame() -> impl Strategy<Value = ClientFrame> {
    prop_oneof![
        (
            any::<u16>(),
            volunteer(),
            signature(),
            "[ -~é\"\\\\]{0,30}",
            backend(),
            option::of(partner())
        )
            .prop_map(
                |(protocol, volunteer, signature, client, backend, partner)| {
                    ClientFrame::Hello {
                        protocol,
                        volunteer,
                        signature,
                        client,
                        backend,
                        partner,
                    }
                }
            ),
        round().prop_map(|round| ClientFrame::Join { round }),
        Just(ClientFrame::Leave),
        (round(), any::<u32>(), option::of(finite()), finite()).prop_map(
            |(round, step, loss, tokens_per_second)| ClientFrame::Progress {
                round,
                step,
                loss,
                tokens_per_second,
            }
        ),
        (round(), hash()).prop_map(|(round, theta)| ClientFrame::Applied { round, theta }),
        (round(), hash(), signature()).prop_map(|(round, packet, signature)| {
            ClientFrame::Commit {
                round,
                packet,
                signature,
            }
        }),
    ]
}

fn presence() -> impl Strategy<Value = Presence> {
    let activity = prop_oneof![
        Just(Activity::Watching),
        Just(Activity::Training),
        Just(Activity::Contributed)
    ];
    (volunteer(), backend(), activity, finite(), any::<u64>()).prop_map(
        |(volunteer, backend, activity, tokens_per_second, accepted)| Presence {
            volunteer,
            backend,
            activity,
            tokens_per_second,
            accepted,
        },
    )
}

pub fn signed_record() -> impl Strategy<Value = SignedRecord> {
    (record(), signature()).prop_map(|(record, signature)| SignedRecord { record, signature })
}

pub fn server_frame() -> impl Strategy<Value = ServerFrame> {
    let message = || "\\PC{0,40}";
    prop_oneof![
        (hash(), any::<u16>(), any::<u16>()).prop_map(|(nonce, protocol_min, protocol)| {
            ServerFrame::Challenge {
                nonce,
                protocol_min,
                protocol,
            }
        }),
        run_info().prop_map(|run| ServerFrame::Welcome { run: Box::new(run) }),
        (code(), message()).prop_map(|(code, message)| ServerFrame::Denied { code, message }),
        (
            round(),
            hash(),
            hash(),
            any::<u32>(),
            option::of(any::<u64>())
        )
            .prop_map(|(round, seed, base, inner_steps, remaining_ms)| {
                ServerFrame::RoundOpened {
                    round,
                    seed,
                    base,
                    inner_steps,
                    remaining_ms,
                }
            }),
        signed_record().prop_map(|record| ServerFrame::RoundClosed {
            record: Box::new(record)
        }),
        (round(), volunteer(), any::<bool>()).prop_map(|(round, data_of, fresh)| {
            ServerFrame::Task {
                round,
                data_of,
                fresh,
            }
        }),
        (round(), hash()).prop_map(|(round, packet)| ServerFrame::Committed { round, packet }),
        (round(), hash(), code(), message()).prop_map(|(round, packet, code, message)| {
            ServerFrame::NotCommitted {
                round,
                packet,
                code,
                message,
            }
        }),
        held_out().prop_map(|held_out| ServerFrame::HeldOut { held_out }),
        (any::<u32>(), vec(presence(), 0..4))
            .prop_map(|(total, volunteers)| ServerFrame::Presence { total, volunteers }),
        (
            partner(),
            option::of(prop_oneof![
                Just(NoCredit::Unknown),
                Just(NoCredit::Suspended)
            ])
        )
            .prop_map(|(partner, refused)| ServerFrame::Credit { partner, refused }),
        checkpoint().prop_map(|checkpoint| ServerFrame::Resync { checkpoint }),
        (any::<u64>(), any::<u64>()).prop_map(|(reconnect_in_ms, try_for_ms)| {
            ServerFrame::Restarting {
                reconnect_in_ms,
                try_for_ms,
            }
        }),
        (code(), message()).prop_map(|(code, message)| ServerFrame::Error { code, message }),
    ]
}
