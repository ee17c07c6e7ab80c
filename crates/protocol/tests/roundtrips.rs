//! What is encoded decodes to the same, and to the same bytes again.

mod common;

use common::{
    client_frame, code, hash, header, identity, manifest, partner, record, run_info, server_frame,
    signature, signed_record, spec, volunteer,
};
use covey_protocol::{
    Hash, Identity, ProtocolError, Round, SignatureBytes, VolunteerId,
    corpus::{Manifest, Shard, Vocabulary, decode_shard},
    http::{ErrorBody, Records, RunInfo},
    limits::MAX_TOKEN_BYTES,
    packet::{HEADER_LEN, Packet, PacketHeader},
    record::Receipt,
    run::RunSpec,
    socket::{ClientFrame, ServerFrame, sign_hello, verify_hello},
    update,
};
use proptest::{collection::vec, prelude::*};

fn sealed(header: &PacketHeader, payload: &[u8], identity: &Identity) -> Vec<u8> {
    let header = PacketHeader {
        volunteer: identity.id(),
        ..header.clone()
    };
    header.seal(payload, identity).expect("small payload")
}

proptest! {
    #[test]
    fn names_survive_their_text(hash in hash(), volunteer in volunteer(), signature in signature()) {
        prop_assert_eq!(hash.to_string().parse::<Hash>(), Ok(hash));
        prop_assert_eq!(volunteer.to_string().parse::<VolunteerId>(), Ok(volunteer));
        prop_assert_eq!(signature.to_string().parse::<SignatureBytes>(), Ok(signature));
        let upper = hash.to_string().to_uppercase();
        if upper != hash.to_string() {
            prop_assert!(upper.parse::<Hash>().is_err(), "one name, one text");
        }
    }

    #[test]
    fn packets_open_to_what_was_sealed(
        identity in identity(),
        header in header(VolunteerId([0; 32])),
        payload in vec(any::<u8>(), 0..300),
    ) {
        let bytes = sealed(&header, &payload, &identity);
        let packet = Packet::open(&bytes).expect("valid");
        prop_assert_eq!(packet.header.volunteer, identity.id());
        prop_assert_eq!(packet.header.round, header.round);
        prop_assert_eq!(packet.header.tokens, header.tokens);
        prop_assert_eq!(packet.payload, payload.as_slice());
        prop_assert_eq!(packet.hash(), Hash::of(&bytes));
        let again = packet.header.seal(packet.payload, &identity).expect("small");
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn any_changed_bit_of_a_packet_is_noticed(
        identity in identity(),
        header in header(VolunteerId([0; 32])),
        payload in vec(any::<u8>(), 1..50),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut bytes = sealed(&header, &payload, &identity);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Packet::open(&bytes).is_err());
    }

    #[test]
    fn updates_decode_to_the_packets_they_were_made_of(
        secrets in prop::collection::btree_set(any::<[u8; 32]>(), 0..5),
        header in header(VolunteerId([0; 32])),
        payload in vec(any::<u8>(), 0..40),
    ) {
        let mut packets: Vec<(VolunteerId, Vec<u8>)> = secrets
            .into_iter()
            .map(Identity::from_secret)
            .map(|identity| (identity.id(), sealed(&header, &payload, &identity)))
            .collect();
        packets.sort();
        let sealed: Vec<&[u8]> = packets.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        let bytes = update::encode(&sealed);
        let decoded = update::decode(&bytes).expect("valid");
        let hashes: Vec<Hash> = decoded.iter().map(Packet::hash).collect();
        prop_assert_eq!(hashes, sealed.iter().map(|b| Hash::of(b)).collect::<Vec<_>>());
        if sealed.len() > 1 {
            let reversed: Vec<&[u8]> = sealed.iter().rev().copied().collect();
            prop_assert_eq!(
                update::decode(&update::encode(&reversed)).err(),
                Some(ProtocolError::Order("an update"))
            );
        }
    }

    #[test]
    fn vocabularies_survive_their_blob(
        pieces in vec(vec(any::<u8>(), 0..MAX_TOKEN_BYTES), 0..40),
    ) {
        let vocabulary = Vocabulary::new(pieces).expect("within limits");
        prop_assert_eq!(Vocabulary::from_blob(&vocabulary.to_blob()), Ok(vocabulary));
    }

    #[test]
    fn text_of_bytes_survives_its_tokens(text in "\\PC{0,60}") {
        let vocabulary = Vocabulary::bytes();
        prop_assert_eq!(vocabulary.decode(&vocabulary.encode(&text)), text);
    }

    #[test]
    fn shards_survive_their_blob(tokens in vec(0u16..300, 1..200)) {
        let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
        let shard = Shard { hash: Hash::of(&bytes), tokens: tokens.len() as u32 };
        prop_assert_eq!(decode_shard(&shard, 300, &bytes), Ok(tokens.clone()));
        let largest = u32::from(*tokens.iter().max().expect("not empty"));
        prop_assert!(decode_shard(&shard, largest, &bytes).is_err());
        let other = Shard { hash: Hash::of(b"other"), ..shard };
        prop_assert_eq!(
            decode_shard(&other, 300, &bytes),
            Err(ProtocolError::HashMismatch { what: "a shard" })
        );
    }

    #[test]
    fn manifests_survive_their_json(manifest in manifest()) {
        let read = Manifest::from_json(&manifest.to_json()).expect("valid");
        prop_assert!((read.unigram_entropy - manifest.unigram_entropy).abs() < 1e-12);
        prop_assert_eq!(Manifest { unigram_entropy: manifest.unigram_entropy, ..read }, manifest);
    }

    /// The id is the hash of the JSON, so reading and writing it again must not change a byte.
    #[test]
    fn run_descriptions_keep_their_id(spec in spec()) {
        let read = RunSpec::from_json(&spec.to_json()).expect("valid");
        prop_assert_eq!(read.to_json(), spec.to_json());
        prop_assert_eq!(read.id(), spec.id());
        prop_assert_eq!(read, spec);
    }

    #[test]
    fn run_information_survives_its_json(info in run_info()) {
        let json = serde_json::to_string(&info).expect("plain data");
        prop_assert_eq!(serde_json::from_str::<RunInfo>(&json).expect("valid"), info);
    }

    #[test]
    fn records_and_error_bodies_survive_their_json(
        records in vec(signed_record(), 0..3),
        code in code(),
        name in proptest::option::of("[A-Za-z]{1,20}"),
        message in "\\PC{0,40}",
    ) {
        let records = Records { records };
        let json = serde_json::to_string(&records).expect("plain data");
        prop_assert_eq!(serde_json::from_str::<Records>(&json).expect("valid"), records);
        let body = ErrorBody { code, name, message };
        let json = serde_json::to_string(&body).expect("plain data");
        prop_assert_eq!(serde_json::from_str::<ErrorBody>(&json).expect("valid"), body);
    }

    #[test]
    fn records_verify_for_their_signer_only(
        record in record(),
        identity in identity(),
        other in volunteer(),
    ) {
        let mut signed = record.clone().sign(&identity);
        prop_assert_eq!(signed.verify(&identity.id()), Ok(&record));
        prop_assert!(signed.verify(&other).is_err());
        signed.record.round = signed.record.round.next();
        if signed.record.round != record.round {
            prop_assert!(signed.verify(&identity.id()).is_err());
        }
    }

    #[test]
    fn receipts_verify_and_survive_their_json(
        identity in identity(),
        run in hash(),
        round in any::<u64>().prop_map(Round),
        volunteer in volunteer(),
        packet in hash(),
        tokens in any::<u32>(),
        received_at_ms in any::<u64>(),
        partner in proptest::option::of(partner()),
    ) {
        let receipt = Receipt {
            run,
            round,
            volunteer,
            packet,
            tokens,
            received_at_ms,
            partner,
            signature: SignatureBytes([0; 64]),
        };
        prop_assert!(receipt.verify(&identity.id()).is_err());
        let receipt = receipt.sign(&identity);
        prop_assert_eq!(receipt.verify(&identity.id()), Ok(()));
        let json = serde_json::to_string(&receipt).expect("plain data");
        let read = serde_json::from_str::<Receipt>(&json).expect("valid");
        prop_assert_eq!(&read, &receipt);
        let later = Receipt { received_at_ms: received_at_ms ^ 1, ..read };
        prop_assert!(later.verify(&identity.id()).is_err());
    }

    #[test]
    fn client_frames_survive_their_json(frame in client_frame()) {
        prop_assert_eq!(ClientFrame::parse(&frame.to_json()), Ok(frame));
    }

    #[test]
    fn server_frames_survive_their_json(frame in server_frame()) {
        prop_assert_eq!(ServerFrame::parse(&frame.to_json()), Ok(frame));
    }

    #[test]
    fn a_hello_verifies_for_its_key_and_nonce_only(
        identity in identity(),
        nonce in hash(),
        other in hash(),
    ) {
        let signature = sign_hello(&identity, &nonce);
        prop_assert_eq!(verify_hello(&identity.id(), &nonce, &signature), Ok(()));
        prop_assert!(verify_hello(&VolunteerId(other.0), &nonce, &signature).is_err());
        prop_assert!(verify_hello(&identity.id(), &other, &signature).is_err());
    }
}

#[test]
fn a_signature_for_one_purpose_is_none_for_another() {
    let identity = Identity::from_secret([1; 32]);
    let message = b"the same message";
    let signature = identity.sign("covey test one purpose", message);
    let id = identity.id();
    assert_eq!(
        id.verify("covey test one purpose", message, &signature),
        Ok(())
    );
    assert!(
        id.verify("covey test another purpose", message, &signature)
            .is_err()
    );
}

#[test]
fn the_hash_of_weights_is_the_name_of_their_checkpoint() {
    let theta: Vec<f32> = (0..5000).map(|i| i as f32 * 0.37 - 11.0).collect();
    let bytes: Vec<u8> = theta.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(Hash::of_weights(&theta), Hash::of(&bytes));
    assert_eq!(Hash::of_weights(&[]), Hash::of(&[]));
}

#[test]
fn the_header_is_as_long_as_documented() {
    let identity = Identity::from_secret([1; 32]);
    let header = PacketHeader {
        run: Hash::of(b"run"),
        volunteer: identity.id(),
        round: Round(1),
        base: Hash::of(b"base"),
        inner_steps: 1,
        tokens: 1,
        first_loss: 1.0,
        last_loss: 1.0,
    };
    let bytes = header.seal(b"", &identity).expect("empty payload");
    assert_eq!(bytes.len(), HEADER_LEN);
}
