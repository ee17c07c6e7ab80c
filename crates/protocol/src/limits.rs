//! Bounds on what a peer may send. A decoder compares with these before it allocates.

/// Largest control frame, in bytes, either way. Presence lists are the largest in practice.
pub const MAX_FRAME: usize = 256 * 1024;
/// Largest control frame a volunteer may send; theirs are all tiny.
pub const MAX_CLIENT_FRAME: usize = 4 * 1024;
/// Largest payload of one packet: 125 M parameters at 0.21875 bits each are 3.4 MB, so this leaves
/// room for denser settings without letting one upload hold the coordinator's memory.
pub const MAX_PAYLOAD: usize = 32 * 1024 * 1024;
/// Most packets merged in one round (Covenant-72B aggregates at most 20).
pub const MAX_CONTRIBUTIONS: usize = 20;
/// Most commitments taken in one round: several times what is merged, so that some of them may come to
/// nothing, and few enough for a record to list them all.
pub const MAX_COMMITMENTS: usize = 128;
/// Largest round record as JSON: every commitment (310 bytes each) and what came of it.
pub const MAX_RECORD: usize = 64 * 1024;
/// Largest blob the coordinator serves or a tab fetches: a 125 M parameter checkpoint in f32.
pub const MAX_BLOB: usize = 640 * 1024 * 1024;
/// Most round records returned by one request.
pub const MAX_RECORDS: usize = 64;
/// Most shards a corpus manifest may list.
pub const MAX_SHARDS: usize = 65_536;
/// Most tokens in one shard: 1 MiB of u16.
pub const MAX_SHARD_TOKENS: usize = 512 * 1024;
/// Tokens are u16, so a vocabulary cannot be larger.
pub const MAX_VOCABULARY: usize = 65_536;
/// Longest token in bytes.
pub const MAX_TOKEN_BYTES: usize = 256;
/// Longest name a volunteer, client or run may call itself, in bytes.
pub const MAX_NAME: usize = 64;
/// Longest id of a partner, in bytes.
pub const MAX_PARTNER: usize = 32;
/// Most volunteers listed in one presence frame; the total is sent beside the list.
pub const MAX_PRESENCE: usize = 100;
/// Most points of the held-out history sent to a newcomer.
pub const MAX_HISTORY: usize = 512;
/// Longest session authorisation in bytes.
pub const MAX_SESSION_TEXT: usize = 1024;
/// Inner steps one packet may claim.
pub const MAX_INNER_STEPS: u32 = 10_000;
/// Longest text of what a witness found, in bytes.
pub const MAX_FINDING: usize = 200;
/// Largest signed statement of a witness.
pub const MAX_STATEMENT: usize = 4 * 1024;
/// Most changes of coordinator in one run.
pub const MAX_HANDOVERS: usize = 16;
/// Most journal lines returned by one request.
pub const MAX_LINES: usize = 512;
/// Most bytes of journal lines returned by one request; one line always fits.
pub const MAX_LINES_BYTES: usize = 4 * 1024 * 1024;
/// Largest signed action or session.
pub const MAX_ACTION: usize = 256 * 1024;
/// Most entries of an account's history returned by one request.
pub const MAX_ITEMS: usize = 50;
/// Largest validator's sheet: a score for each packet of a round.
pub const MAX_SHEET: usize = 16 * 1024;
/// Most sheets returned by one request; those of one round always come together.
pub const MAX_SHEETS: usize = 64;
/// Most blocks by which the clock of a development run can be moved at once.
pub const MAX_ADVANCE: u64 = 5_000_000;
