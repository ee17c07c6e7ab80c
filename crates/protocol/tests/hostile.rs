//! Bytes from strangers: every decoder answers with an error, never with a panic, and never believes a
//! length before it has compared it with a bound.

mod common;

use common::{client_frame, header, identity, manifest, server_frame, spec};
use covey_protocol::{
    ProtocolError, VolunteerId,
    corpus::{Manifest, Shard, Vocabulary, decode_shard},
    http::{ErrorBody, Records, RunInfo},
    limits::{MAX_CLIENT_FRAME, MAX_FRAME, MAX_PAYLOAD},
    packet::{HEADER_LEN, Packet, PacketHeader},
    record::Receipt,
    run::RunSpec,
    socket::{ClientFrame, ServerFrame},
    update,
};
use proptest::{collection::vec, prelude::*};

/// Feeds bytes to every decoder; only panics matter.
fn feed(bytes: &[u8]) {
    let _ = Packet::open(bytes);
    let _ = update::decode(bytes);
    let _ = Vocabulary::from_blob(bytes);
    let _ = Manifest::from_json(bytes);
    let _ = RunSpec::from_json(bytes);
    let _ = serde_json::from_slice::<RunInfo>(bytes);
    let _ = serde_json::from_slice::<Records>(bytes);
    let _ = serde_json::from_slice::<Receipt>(bytes);
    let _ = serde_json::from_slice::<ErrorBody>(bytes);
    let shard = Shard {
        hash: covey_protocol::Hash::of(bytes),
        tokens: bytes.len() as u32 / 2,
    };
    let _ = decode_shard(&shard, 100, bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = ClientFrame::parse(text);
        let _ = ServerFrame::parse(text);
        let _ = text.parse::<covey_protocol::Hash>();
    }
}

fn json_like() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        "\"[a-z0-9]{0,70}\"",
        Just("1e999".to_owned()),
    ];
    let key = prop::sample::select(vec![
        "type",
        "round",
        "hello",
        "volunteer",
        "theta",
        "record",
        "loss",
        "run",
        "nonce",
        "client",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec((key.clone(), inner), 0..4).prop_map(|pairs| {
                let pairs: Vec<String> = pairs
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    })
}

/// Valid encodings of everything, to be damaged.
fn valid() -> impl Strategy<Value = Vec<u8>> {
    let packet = || {
        (
            identity(),
            header(VolunteerId([0; 32])),
            vec(any::<u8>(), 0..60),
        )
            .prop_map(|(identity, header, payload)| {
                let header = PacketHeader {
                    volunteer: identity.id(),
                    ..header
                };
                header.seal(&payload, &identity).expect("small payload")
            })
    };
    prop_oneof![
        packet(),
        packet().prop_map(|bytes| update::encode(&[bytes])),
        vec(vec(any::<u8>(), 0..20), 0..20)
            .prop_map(|pieces| Vocabulary::new(pieces).expect("small").to_blob()),
        manifest().prop_map(|manifest| manifest.to_json()),
        spec().prop_map(|spec| spec.to_json()),
        client_frame().prop_map(|frame| frame.to_json().into_bytes()),
        server_frame().prop_map(|frame| frame.to_json().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_calmly(bytes in vec(any::<u8>(), 0..600)) {
        feed(&bytes);
    }

    #[test]
    fn bytes_behind_a_right_magic_are_refused_calmly(
        magic in prop::sample::select(vec![b"CVP1", b"CVU1", b"CVV1"]),
        bytes in vec(any::<u8>(), 0..600),
    ) {
        let bytes = [magic.as_slice(), &bytes].concat();
        feed(&bytes);
        prop_assert!(Packet::open(&bytes).is_err());
    }

    #[test]
    fn json_of_the_wrong_kind_is_refused_calmly(text in json_like()) {
        feed(text.as_bytes());
    }

    #[test]
    fn damaged_encodings_are_refused_calmly(
        bytes in valid(),
        cut in any::<prop::sample::Index>(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        feed(&bytes[..cut.index(bytes.len() + 1)]);
        let mut damaged = bytes.clone();
        for (at, value) in flips {
            if !damaged.is_empty() {
                let at = at.index(damaged.len());
                damaged[at] = value;
            }
        }
        feed(&damaged);
        damaged.extend(bytes);
        feed(&damaged);
    }

    #[test]
    fn a_truncated_packet_is_refused(
        identity in identity(),
        header in header(VolunteerId([0; 32])),
        cut in any::<prop::sample::Index>(),
    ) {
        let header = PacketHeader { volunteer: identity.id(), ..header };
        let bytes = header.seal(b"payload", &identity).expect("small payload");
        prop_assert!(Packet::open(&bytes[..cut.index(bytes.len())]).is_err());
        let longer = [bytes.as_slice(), b"x"].concat();
        prop_assert!(Packet::open(&longer).is_err());
    }
}

#[test]
fn lengths_are_compared_with_bounds_before_anything_is_allocated() {
    // Four bytes claim four billion entries; reserving for them would end the process.
    let huge = u32::MAX.to_le_bytes();
    let claim = |magic: &[u8]| [magic, &huge].concat();
    assert!(matches!(
        update::decode(&claim(b"CVU1")),
        Err(ProtocolError::TooLarge { .. })
    ));
    assert!(matches!(
        Vocabulary::from_blob(&claim(b"CVV1")),
        Err(ProtocolError::TooLarge { .. })
    ));
    let one = [b"CVU1".as_slice(), &1u32.to_le_bytes(), &huge].concat();
    assert!(matches!(
        update::decode(&one),
        Err(ProtocolError::TooLarge { .. })
    ));
    let mut packet = vec![0; HEADER_LEN];
    packet[..4].copy_from_slice(b"CVP1");
    packet[4] = 1;
    packet[128..132].copy_from_slice(&(MAX_PAYLOAD as u32 + 1).to_le_bytes());
    assert!(matches!(
        Packet::open(&packet),
        Err(ProtocolError::TooLarge { .. })
    ));
}

#[test]
fn frames_over_the_limit_are_refused_by_length() {
    let client = format!("{{\"type\":\"leave\"{}}}", " ".repeat(MAX_CLIENT_FRAME));
    assert!(matches!(
        ClientFrame::parse(&client),
        Err(ProtocolError::TooLarge { .. })
    ));
    let server = " ".repeat(MAX_FRAME + 1);
    assert!(matches!(
        ServerFrame::parse(&server),
        Err(ProtocolError::TooLarge { .. })
    ));
}

#[test]
fn deep_nesting_is_refused_without_exhausting_the_stack() {
    let deep = format!("{}{}", "[".repeat(4_000), "]".repeat(4_000));
    feed(deep.as_bytes());
    assert!(ServerFrame::parse(&deep).is_err());
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let progress = |speed: &str| {
        format!(
            "{{\"type\":\"progress\",\"round\":1,\"step\":1,\"loss\":null,\"tokens_per_second\":{speed}}}"
        )
    };
    assert!(ClientFrame::parse(&progress("1.5")).is_ok());
    assert!(ClientFrame::parse(&progress("1e39")).is_err());
    assert!(ClientFrame::parse(&progress("1e999")).is_err());
    assert!(ClientFrame::parse(&progress("null")).is_err());
}

#[test]
fn unknown_fields_and_kinds_are_refused() {
    assert!(ClientFrame::parse("{\"type\":\"join\",\"round\":1,\"more\":1}").is_err());
    assert!(ClientFrame::parse("{\"type\":\"jump\",\"round\":1}").is_err());
    assert!(ClientFrame::parse("{\"type\":\"join\",\"round\":-1}").is_err());
}
