//! `extrinsics.json`: calls, payloads and extrinsics on which two independent encoders agree
//! (economics spec, section 5.4). Set `COVEY_VECTORS_DIR` to check another copy. Accounts, amounts,
//! versions, hashes, signatures and the era all come from the file; some only stand inside its bytes
//! (the fixed signature, the mortal block's hash) or its keys (`mortal64_at_1000000`) and are taken
//! from there.

use covey_ledger::signing::{SignatureBytes, verify_exact};
use covey_ledger::{AccountId, KeyType};
use covey_subtensor::{
    Call, FINNEY_GENESIS, Mortality, Runtime, SIGNED_EXTENSIONS, SPEC_VERSION, SignerPayload,
    Unsigned, extrinsic_hash,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const COMMITTED: &str = include_str!("vectors/extrinsics.json");

/// Calls that a vector file may hold and the wallet does not make. None so far.
const NOT_THE_WALLETS: &[&str] = &[];

/// Keys of a vector that are not one of its payloads.
const COMMON_KEYS: [&str; 5] = [
    "call",
    "params",
    "call_data",
    "call_hash",
    "signer_payload_json",
];

#[derive(Deserialize)]
struct File {
    header: Header,
    vectors: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Header {
    spec_version: u32,
    transaction_version: u32,
    ss58_format: u8,
    metadata_digest_rfc0078: String,
    genesis: String,
    signer: AccountId,
    nonce: u32,
    signed_extensions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    payload_unhashed: String,
    signed_bytes: String,
    extrinsic_fixed_sig: String,
    extrinsic_hash_fixed_sig: String,
    extrinsic_signed: String,
}

fn read() -> File {
    let text = match std::env::var_os("COVEY_VECTORS_DIR") {
        Some(dir) => {
            let path = std::path::Path::new(&dir).join("extrinsics.json");
            std::fs::read_to_string(&path)
                .unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
        }
        None => COMMITTED.to_owned(),
    };
    serde_json::from_str(&text).expect("a vectors file")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.strip_prefix("0x").expect("0x");
    assert_eq!(digits.len() % 2, 0, "{hex}");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex"))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("as many bytes as named")
}

fn text<'a>(vector: &'a Map<String, Value>, key: &str) -> &'a str {
    vector[key].as_str().expect(key)
}

/// The call of a vector, or nothing if it is listed as not the wallet's.
fn call(vector: &Map<String, Value>) -> Option<Call> {
    if NOT_THE_WALLETS.contains(&text(vector, "call")) {
        return None;
    }
    let named = json!({"call": vector["call"], "params": vector["params"]});
    Some(serde_json::from_value(named).unwrap_or_else(|problem| {
        panic!("{}: {problem}", text(vector, "call"));
    }))
}

/// `mortal64_at_1000000` as a period and a block; `None` for the immortal keys.
fn mortal(key: &str) -> Option<(u32, u32)> {
    let (period, block) = key.strip_prefix("mortal")?.split_once("_at_")?;
    Some((period.parse().expect(key), block.parse().expect(key)))
}

/// The signature within a finished extrinsic: after the length, `84 00`, the key and the kind.
fn signature_in(extrinsic: &[u8]) -> (u8, SignatureBytes) {
    let start = (1 << (extrinsic[0] & 3)) + 34;
    let (kind, rest) = extrinsic[start..].split_first().expect("a kind");
    (*kind, SignatureBytes(array(&rest[..64])))
}

/// The extrinsic that a vector's payload `key` is about.
fn unsigned(header: &Header, call: &Call, tip: u128, key: &str, payload: &Payload) -> Unsigned {
    let mortality = match mortal(key) {
        Some((period, block)) => {
            let payload = bytes(&payload.payload_unhashed);
            // The last byte says that there is no digest; the block's hash stands before it.
            let hash = &payload[payload.len() - 33..payload.len() - 1];
            Mortality::Mortal {
                period: period.try_into().expect(key),
                block,
                block_hash: array(hash),
            }
        }
        None => Mortality::Immortal,
    };
    let digest = match key {
        "immortal_metadata_hash" => Some(array(&bytes(&header.metadata_digest_rfc0078))),
        key if key == "immortal" || mortal(key).is_some() => None,
        other => panic!("the file holds a payload of unknown kind: {other}"),
    };
    Unsigned {
        signer: header.signer,
        call: call.clone(),
        runtime: Runtime {
            genesis: array(&bytes(&header.genesis)),
            spec_version: header.spec_version,
            transaction_version: header.transaction_version,
        },
        mortality,
        nonce: header.nonce,
        tip,
        metadata_digest: digest,
    }
}

fn tip(vector: &Map<String, Value>) -> u128 {
    let tip = vector["signer_payload_json"]["tip"].as_str().expect("tip");
    u128::from_be_bytes(array(&bytes(tip)))
}

/// Every payload of every call of the wallet.
fn payloads(mut each: impl FnMut(&Map<String, Value>, &str, &Unsigned, &Payload)) {
    let file = read();
    let mut seen = 0;
    for vector in &file.vectors {
        let Some(call) = call(vector) else { continue };
        for (key, value) in vector {
            if COMMON_KEYS.contains(&key.as_str()) {
                continue;
            }
            let payload = Payload::deserialize(value).expect(key);
            let unsigned = unsigned(&file.header, &call, tip(vector), key, &payload);
            each(vector, key, &unsigned, &payload);
            seen += 1;
        }
    }
    assert!(seen > 0, "the file holds no payload");
}

#[test]
fn the_committed_file_is_about_the_runtime_this_crate_writes_for() {
    let file: File = serde_json::from_str(COMMITTED).expect("a vectors file");
    assert_eq!(file.header.spec_version, SPEC_VERSION);
    assert_eq!(bytes(&file.header.genesis), FINNEY_GENESIS);
}

#[test]
fn addresses_and_extensions_are_those_of_the_file() {
    let header = read().header;
    assert_eq!(header.ss58_format, covey_ledger::account::SS58_PREFIX);
    assert_eq!(header.signed_extensions, SIGNED_EXTENSIONS);
}

#[test]
fn calls_encode_and_hash_as_in_the_file() {
    let file = read();
    assert!(!file.vectors.is_empty());
    for vector in &file.vectors {
        let Some(call) = call(vector) else { continue };
        let name = text(vector, "call");
        assert_eq!(hex(&call.encode()), text(vector, "call_data"), "{name}");
        assert_eq!(hex(&call.hash()), text(vector, "call_hash"), "{name}");
        // And the JSON form is written as it was read.
        let written = serde_json::to_value(&call).expect(name);
        assert_eq!(written["call"], vector["call"]);
        assert_eq!(written["params"], vector["params"]);
    }
}

#[test]
fn payloads_and_signed_bytes_are_those_of_the_file() {
    payloads(|vector, key, unsigned, payload| {
        let name = format!("{} {key}", text(vector, "call"));
        assert_eq!(hex(&unsigned.payload()), payload.payload_unhashed, "{name}");
        assert_eq!(
            hex(&unsigned.signed_bytes()),
            payload.signed_bytes,
            "{name}"
        );
    });
}

#[test]
fn extrinsics_with_a_fixed_signature_are_those_of_the_file() {
    payloads(|vector, key, unsigned, payload| {
        let name = format!("{} {key}", text(vector, "call"));
        let (kind, signature) = signature_in(&bytes(&payload.extrinsic_fixed_sig));
        assert_eq!(kind, 1, "{name}");
        let extrinsic = unsigned.extrinsic(KeyType::Sr25519, &signature);
        assert_eq!(hex(&extrinsic), payload.extrinsic_fixed_sig, "{name}");
        let hash = hex(&extrinsic_hash(&extrinsic));
        assert_eq!(hash, payload.extrinsic_hash_fixed_sig, "{name}");
        // An ed25519 key's differs in the one byte.
        let other = unsigned.extrinsic(KeyType::Ed25519, &signature);
        let differing = extrinsic.iter().zip(&other).filter(|(a, b)| a != b).count();
        assert_eq!((other.len(), differing), (extrinsic.len(), 1), "{name}");
    });
}

#[test]
fn signatures_made_elsewhere_hold_over_our_bytes_and_no_others() {
    payloads(|vector, key, unsigned, payload| {
        let name = format!("{} {key}", text(vector, "call"));
        let (kind, signature) = signature_in(&bytes(&payload.extrinsic_signed));
        assert_eq!(kind, 1, "{name}");
        let check = |unsigned: &Unsigned| {
            verify_exact(
                &unsigned.signer,
                KeyType::Sr25519,
                &unsigned.signed_bytes(),
                &signature.0,
            )
        };
        assert_eq!(check(unsigned), Ok(()), "{name}");
        let extrinsic = unsigned.extrinsic(KeyType::Sr25519, &signature);
        assert_eq!(hex(&extrinsic), payload.extrinsic_signed, "{name}");

        let changes: [fn(&mut Unsigned); 6] = [
            |it| it.nonce += 1,
            |it| it.tip += 1,
            |it| it.runtime.spec_version += 1,
            |it| it.runtime.transaction_version += 1,
            |it| it.runtime.genesis[0] ^= 1,
            |it| it.metadata_digest = Some([9; 32]),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut changed = unsigned.clone();
            change(&mut changed);
            assert!(check(&changed).is_err(), "{name}, change {number}");
        }
    });
}

#[test]
fn the_wallet_is_given_the_payload_of_the_file() {
    payloads(|vector, key, unsigned, _| {
        if key != "immortal" {
            return;
        }
        let ours = serde_json::to_value(SignerPayload::from(unsigned)).expect("JSON");
        assert_eq!(
            ours,
            vector["signer_payload_json"],
            "{}",
            text(vector, "call")
        );
    });
}
