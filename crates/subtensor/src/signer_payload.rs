//! What a wallet extension's `signer.signPayload` is given (economics spec, section 5.1).
//!
//! The one thing to get wrong: numbers are big-endian hex of fixed width (a nonce is 4 bytes, a tip
//! 16), although the same numbers are little-endian or compact in what is signed. The wallet turns
//! them round; with any other form the chain answers BadProof.

use std::fmt::Write;

use covey_ledger::AccountId;
use serde::Serialize;

use crate::{Mortality, Unsigned};

/// The runtime's signed extensions in its order. Only mortality, nonce, payment and metadata hash put
/// bytes into an extrinsic.
pub const SIGNED_EXTENSIONS: [&str; 13] = [
    "CheckNonZeroSender",
    "CheckSpecVersion",
    "CheckTxVersion",
    "CheckGenesis",
    "CheckMortality",
    "CheckNonce",
    "CheckWeight",
    "ChargeTransactionPayment",
    "SudoTransactionExtension",
    "CheckShieldedTxValidity",
    "SubtensorTransactionExtension",
    "DrandPriority",
    "CheckMetadataHash",
];

/// polkadot-js's `SignerPayloadJSON`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignerPayload {
    pub address: AccountId,
    pub block_hash: String,
    /// The block the era begins at. Absent for immortal extrinsics, where no wallet looks at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_number: Option<String>,
    pub genesis_hash: String,
    /// The call's SCALE bytes.
    pub method: String,
    /// The era's SCALE bytes.
    pub era: String,
    pub nonce: String,
    pub tip: String,
    pub spec_version: String,
    pub transaction_version: String,
    /// Of the extrinsic format.
    pub version: u8,
    pub signed_extensions: [&'static str; 13],
    pub mode: u8,
    pub metadata_hash: Option<String>,
}

impl From<&Unsigned> for SignerPayload {
    fn from(unsigned: &Unsigned) -> Self {
        Self {
            address: unsigned.signer,
            block_hash: hex(&unsigned.era_block_hash()),
            block_number: match unsigned.mortality {
                Mortality::Immortal => None,
                Mortality::Mortal { block, .. } => Some(hex(&block.to_be_bytes())),
            },
            genesis_hash: hex(&unsigned.runtime.genesis),
            method: hex(&unsigned.call.encode()),
            era: hex(&unsigned.mortality.era()),
            nonce: hex(&unsigned.nonce.to_be_bytes()),
            tip: hex(&unsigned.tip.to_be_bytes()),
            spec_version: hex(&unsigned.runtime.spec_version.to_be_bytes()),
            transaction_version: hex(&unsigned.runtime.transaction_version.to_be_bytes()),
            version: 4,
            signed_extensions: SIGNED_EXTENSIONS,
            mode: unsigned.mode(),
            metadata_hash: unsigned.metadata_digest.map(|digest| hex(&digest)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, FINNEY_GENESIS, Runtime};

    #[test]
    fn mortal_payload_with_digest_names_block_and_mode() {
        let unsigned = Unsigned {
            signer: AccountId([1; 32]),
            call: Call::SetRejectLockedAlpha { enabled: true },
            runtime: Runtime {
                genesis: FINNEY_GENESIS,
                spec_version: 461,
                transaction_version: 1,
            },
            mortality: Mortality::Mortal {
                period: 64.try_into().unwrap(),
                block: 1_000_042,
                block_hash: [0x22; 32],
            },
            nonce: 258,
            tip: 10,
            metadata_digest: Some([0x33; 32]),
        };
        let json = serde_json::to_value(SignerPayload::from(&unsigned)).unwrap();
        for (field, expected) in [
            ("blockNumber", "0x000f426a"),
            ("blockHash", &format!("0x{}", "22".repeat(32))),
            (
                "genesisHash",
                "0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03",
            ),
            ("era", "0xa502"),
            ("method", "0x078e01"),
            ("nonce", "0x00000102"),
            ("tip", "0x0000000000000000000000000000000a"),
            ("metadataHash", &format!("0x{}", "33".repeat(32))),
        ] {
            assert_eq!(json[field], expected, "{field}");
        }
        assert_eq!(json["mode"], 1);
    }
}
