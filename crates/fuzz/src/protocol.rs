//! What crosses the network: packets, updates, frames, run descriptions, answers.
//!
//! What a reader would get wrong: JSON readers may be off by one in the last place of a fraction, so
//! texts with fractions are only asked to stay valid, not to stay the same.

use covey_protocol::{Hash, Identity, VolunteerId};
use serde::{Serialize, de::DeserializeOwned};

fn me() -> Identity {
    Identity::from_secret([7; 32])
}

/// Decodes JSON; what was decoded can be written and read again.
fn json<T: Serialize + DeserializeOwned>(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(data) {
        let text = serde_json::to_vec(&value).expect("what was read can be written");
        serde_json::from_slice::<T>(&text).expect("what was written can be read");
    }
}

pub mod packet {
    use covey_protocol::packet::{HEADER_LEN, Packet, PacketHeader};

    use super::*;

    pub fn header(data: &[u8]) -> Option<(PacketHeader, &[u8])> {
        let (head, payload) = data.split_first_chunk::<HEADER_LEN>()?;
        let u32_at = |at: usize| {
            head.get(at..at + 4)
                .map(|b| u32::from_le_bytes(b.try_into().expect("4 bytes")))
        };
        let header = PacketHeader {
            run: Hash::of(head.get(8..40)?),
            volunteer: me().id(),
            round: covey_protocol::Round(u32_at(72)?.into()),
            base: Hash::of(head.get(80..112)?),
            inner_steps: u32_at(112)?,
            tokens: u32_at(116)?,
            first_loss: f32::from_bits(u32_at(120)?),
            last_loss: f32::from_bits(u32_at(124)?),
        };
        Some((header, payload))
    }

    pub fn run(data: &[u8]) {
        if let Ok(packet) = Packet::open(data) {
            assert_eq!(packet.sealed, data);
            assert_eq!(packet.hash(), Hash::of(data));
        }
        // The same fields under a good signature.
        let Some((header, payload)) = header(data) else {
            return;
        };
        let sealed = header.seal(payload, &me()).expect("a short payload");
        if let Ok(packet) = Packet::open(&sealed) {
            assert_eq!((&packet.header, packet.payload), (&header, payload));
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let seed = |number: u64, payload: &[u8]| {
            let header = PacketHeader {
                run: Hash([1; 32]),
                volunteer: me().id(),
                round: covey_protocol::Round(number),
                base: Hash([2; 32]),
                inner_steps: 20,
                tokens: 20_480,
                first_loss: 5.5,
                last_loss: 5.25,
            };
            header.seal(payload, &me()).expect("a short payload")
        };
        vec![seed(0, b""), seed(1 << 40, b"payload")]
    }
}

pub mod update {
    use covey_protocol::update;

    use super::*;

    pub fn run(data: &[u8]) {
        if let Ok(packets) = update::decode(data) {
            let sealed: Vec<&[u8]> = packets.iter().map(|packet| packet.sealed).collect();
            assert_eq!(update::encode(&sealed), data);
        }
        // Good packets by several volunteers, in the order and the number that the input says.
        let packets: Vec<Vec<u8>> = data.iter().take(24).map(|who| sealed(*who)).collect();
        let bytes = update::encode(&packets);
        let ascending = packets.len() <= covey_protocol::limits::MAX_CONTRIBUTIONS
            && data.is_sorted_by(|a, b| ids(*a) < ids(*b));
        assert_eq!(update::decode(&bytes).is_ok(), ascending);
    }

    fn ids(who: u8) -> VolunteerId {
        Identity::from_secret([who; 32]).id()
    }

    fn sealed(who: u8) -> Vec<u8> {
        let who = Identity::from_secret([who; 32]);
        let packet = packet::seeds().swap_remove(0);
        let (mut header, payload) = packet::header(&packet).expect("a packet");
        header.volunteer = who.id();
        header.seal(payload, &who).expect("a short payload")
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut two: Vec<u8> = vec![1, 2];
        two.sort_by_key(|who| ids(*who));
        let packets: Vec<Vec<u8>> = two.iter().map(|who| sealed(*who)).collect();
        vec![
            update::encode(&[] as &[Vec<u8>]),
            update::encode(&packets),
            two,
        ]
    }
}

pub mod client_frame {
    use covey_protocol::socket::{Backend, ClientFrame, sign_hello};

    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(text) = std::str::from_utf8(data) else {
            return;
        };
        if let Ok(frame) = ClientFrame::parse(text) {
            ClientFrame::parse(&frame.to_json()).expect("what was written can be read");
            if let ClientFrame::Hello {
                volunteer,
                signature,
                ..
            } = frame
            {
                // Only a panic matters: the nonce is not the signed one.
                let _ =
                    covey_protocol::socket::verify_hello(&volunteer, &Hash([0; 32]), &signature);
            }
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let round = covey_protocol::Round(3);
        let frames = [
            ClientFrame::Hello {
                protocol: covey_protocol::PROTOCOL,
                volunteer: me().id(),
                signature: sign_hello(&me(), &Hash([0; 32])),
                client: "covey 0.1".to_owned(),
                backend: Backend::WebGpu,
                partner: "a-site".parse().ok(),
            },
            ClientFrame::Join { round },
            ClientFrame::Leave,
            ClientFrame::Commit {
                round,
                packet: Hash([9; 32]),
                signature: sign_hello(&me(), &Hash([1; 32])),
            },
            ClientFrame::Progress {
                round,
                step: 4,
                loss: Some(2.5),
                tokens_per_second: 1000.0,
            },
            ClientFrame::Applied {
                round,
                theta: Hash([4; 32]),
            },
        ];
        frames
            .iter()
            .map(|frame| frame.to_json().into_bytes())
            .collect()
    }
}

pub mod server_frame {
    use covey_protocol::{
        Round,
        http::{ErrorCode, HeldOut},
        record::Checkpoint,
        socket::{Activity, Backend, Presence, ServerFrame},
    };

    use super::*;

    pub fn run(data: &[u8]) {
        if let Ok(text) = std::str::from_utf8(data)
            && let Ok(frame) = ServerFrame::parse(text)
        {
            let _ = ServerFrame::parse(&frame.to_json());
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let round = Round(3);
        let frames = [
            ServerFrame::Challenge {
                nonce: Hash([5; 32]),
                protocol_min: 1,
                protocol: 2,
            },
            ServerFrame::Welcome {
                run: Box::new(answers::info()),
            },
            ServerFrame::Denied {
                code: ErrorCode::Protocol,
                message: "reload".to_owned(),
            },
            ServerFrame::RoundOpened {
                round,
                seed: Hash([6; 32]),
                base: Hash([7; 32]),
                inner_steps: 20,
                remaining_ms: Some(60_000),
            },
            ServerFrame::Task {
                round,
                data_of: me().id(),
                fresh: true,
            },
            ServerFrame::Committed {
                round,
                packet: Hash([9; 32]),
            },
            ServerFrame::NotCommitted {
                round,
                packet: Hash([9; 32]),
                code: ErrorCode::Duplicate,
                message: "one is enough".to_owned(),
            },
            ServerFrame::RoundClosed {
                record: Box::new(answers::record()),
            },
            ServerFrame::HeldOut {
                held_out: HeldOut { round, loss: 5.5 },
            },
            ServerFrame::Presence {
                total: 1,
                volunteers: vec![Presence {
                    volunteer: me().id(),
                    backend: Backend::Flex,
                    activity: Activity::Training,
                    tokens_per_second: 10.5,
                    accepted: 2,
                }],
            },
            ServerFrame::Resync {
                checkpoint: Checkpoint {
                    round,
                    theta: Hash([8; 32]),
                    len: 4,
                },
            },
            ServerFrame::Restarting {
                reconnect_in_ms: 1000,
                try_for_ms: 60_000,
            },
            ServerFrame::Error {
                code: ErrorCode::StaleRound,
                message: "too late".to_owned(),
            },
        ];
        frames
            .iter()
            .map(|frame| frame.to_json().into_bytes())
            .collect()
    }
}

pub mod run_spec {
    use covey_protocol::{
        model::Preset,
        run::{CompressionSpec, InnerSpec, OuterSpec, RoundSpec, RunSpec},
    };

    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(spec) = RunSpec::from_json(data) else {
            return;
        };
        RunSpec::from_json(&spec.to_json()).expect("what was written can be read");
        let tensors = spec.tensors();
        let values: u64 = tensors.iter().map(|tensor| tensor.len() as u64).sum();
        assert_eq!(values, spec.model.parameters());
        assert!(spec.model.training_bytes() >= values);
    }

    pub fn spec(preset: Preset) -> RunSpec {
        RunSpec {
            name: "Fuzz".to_owned(),
            seed: Hash([1; 32]),
            model: preset.config(),
            corpus: Hash([2; 32]),
            inner: InnerSpec::default(),
            compression: CompressionSpec::default(),
            outer: OuterSpec::default(),
            rounds: RoundSpec::default(),
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        [Preset::Tiny, Preset::Base]
            .map(|preset| spec(preset).to_json())
            .to_vec()
    }
}

/// What a tab reads from a coordinator, and the wallet page too.
pub mod answers {
    use covey_protocol::{
        Round,
        http::{ErrorBody, ErrorCode, HeldOut, Records, RunInfo, Score, Scores},
        ledger::{LedgerHead, sign_head},
        model::Preset,
        partner::{PartnerView, Partners},
        record::{
            Agreement, Checkpoint, Commitment, Contribution, Exclusion, ExclusionReason, Receipt,
            Replica, RoundRecord, SignedRecord,
        },
        validation::{Assignment, Standing, Task, Validations},
    };

    use super::*;

    pub fn run(data: &[u8]) {
        json::<RunInfo>(data);
        json::<Scores>(data);
        json::<ErrorBody>(data);
        json::<Task>(data);
        json::<Partners>(data);
        let me = me().id();
        if let Ok(Validations { sheets, .. }) = serde_json::from_slice(data) {
            for sheet in sheets {
                let _ = sheet.verify();
            }
        }
        if let Ok(Records { records }) = serde_json::from_slice(data) {
            for record in records {
                let text = serde_json::to_vec(&record).expect("what was read can be written");
                let again: SignedRecord = serde_json::from_slice(&text).expect("and read again");
                assert_eq!(again, record);
                let _ = record.verify(&me);
            }
        }
        if let Ok(receipt) = serde_json::from_slice::<Receipt>(data) {
            let _ = receipt.verify(&me);
        }
        if let Ok(head) = serde_json::from_slice::<LedgerHead>(data) {
            let _ = head.verify(&me);
        }
    }

    pub fn info() -> RunInfo {
        let spec = run_spec::spec(Preset::Tiny);
        RunInfo {
            protocol: covey_protocol::PROTOCOL,
            run: spec.id(),
            spec,
            coordinator: me().id(),
            handovers: Vec::new(),
            mirror: None,
            round: Round(3),
            base: Hash([7; 32]),
            checkpoint: Checkpoint {
                round: Round(0),
                theta: Hash([8; 32]),
                len: 4,
            },
            held_out: vec![HeldOut {
                round: Round(0),
                loss: 5.5,
            }],
            unigram_entropy: 3.25,
        }
    }

    pub fn record() -> SignedRecord {
        let record = RoundRecord {
            run: Hash([1; 32]),
            round: Round(3),
            previous: Some(Hash([2; 32])),
            seed: Hash([3; 32]),
            base: Hash([4; 32]),
            theta_after: Hash([5; 32]),
            update: Some(Hash([6; 32])),
            update_len: 12,
            commitments: vec![Commitment::sign(
                &Hash([1; 32]),
                Round(3),
                Hash([7; 32]),
                &me(),
            )],
            replicas: vec![Replica {
                of: me().id(),
                by: covey_protocol::VolunteerId([2; 32]),
                agreement: Agreement::Open,
            }],
            unproven: vec![me().id()],
            contributions: vec![Contribution {
                volunteer: me().id(),
                packet: Hash([7; 32]),
                inner_steps: 20,
                tokens: 100,
                partner: "a-site".parse().ok(),
            }],
            excluded: vec![Exclusion {
                volunteer: me().id(),
                packet: Hash([8; 32]),
                reason: ExclusionReason::Harmful,
            }],
        };
        record.sign(&me())
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let receipt = Receipt {
            run: Hash([1; 32]),
            round: Round(3),
            volunteer: me().id(),
            packet: Hash([7; 32]),
            tokens: 100,
            partner: "a-site".parse().ok(),
            received_at_ms: 1_700_000_000_000,
            signature: record().signature,
        };
        let (chain, head) = (Hash([1; 32]), Hash([2; 32]));
        let head = LedgerHead {
            chain,
            development: true,
            height: 5,
            entries: 3,
            head,
            block_seconds: 12,
            tempo: 360,
            next_epoch: 360,
            started_ms: 1,
            coordinator: me().id(),
            signature: sign_head(&me(), &chain, 3, &head),
        };
        let scores = Scores {
            round: Round(3),
            volunteers: vec![Score {
                volunteer: me().id(),
                mu: 25.0,
                sigma: 8.0,
                computation: 0.5,
                score: 2.0,
                weight: 65_535,
                merged: 3,
                excluded: 1,
                last: Some(ExclusionReason::Norm),
                banned_until: Some(Round(9)),
                idle: 0,
            }],
        };
        let records = Records {
            records: vec![record()],
        };
        let task = Task {
            standing: Standing {
                registered: true,
                stake: "1000".to_owned(),
                permit: true,
                owner: me().id(),
                nonce: 1,
                height: 5,
                epoch: 0,
                weights_set: Some(3),
            },
            assignment: Some(Assignment {
                round: Round(2),
                record: Hash([3; 32]),
                packets: vec![Hash([7; 32])],
                until: Round(4),
            }),
        };
        let validations = Validations {
            sheets: vec![crate::signed::sheet::signed()],
            next: Round(10),
        };
        let partners = Partners {
            partners: vec![PartnerView {
                id: "a-site".parse().expect("an id"),
                name: "A site".to_owned(),
                url: "https://site.example".to_owned(),
                suspended: false,
                rounds: 1,
                packets: 2,
                tokens: 3,
                volunteers: 1,
                last_activity_ms: Some(1_700_000_000_000),
                account: None,
                received: "0".to_owned(),
            }],
        };
        let texts = [
            serde_json::to_vec(&info()),
            serde_json::to_vec(&records),
            serde_json::to_vec(&scores),
            serde_json::to_vec(&ErrorBody::new(ErrorCode::Busy, "wait")),
            serde_json::to_vec(&receipt.sign(&me())),
            serde_json::to_vec(&head),
            serde_json::to_vec(&task),
            serde_json::to_vec(&validations),
            serde_json::to_vec(&partners),
        ];
        texts
            .into_iter()
            .map(|text| text.expect("it can be written"))
            .collect()
    }
}
