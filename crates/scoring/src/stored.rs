//! How the book is stored.
//!
//! Floats as their bits: JSON readers may be off by one in the last place, and a book that came back
//! from the disk slightly changed would judge differently from one that never left memory.

pub mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

/// A map with binary keys as a list, which every format can hold.
pub mod as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use covey_protocol::VolunteerId;

    use crate::peer::Peer;

    pub fn serialize<S: Serializer>(
        map: &BTreeMap<VolunteerId, Peer>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<VolunteerId, Peer>, D::Error> {
        Ok(Vec::<(VolunteerId, Peer)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}
