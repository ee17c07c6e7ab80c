//! The rules that the simulated run goes by: the server's, with room for more packets in a round.

use covey_protocol::run::RoundSpec;
use covey_rounds::{Assessing, Replication, Settings};
use covey_scoring::Rules;

use crate::RUN;

/// Packets admitted beyond what is merged, as the server has it.
const RESERVE: u32 = 10;
pub const ASSESS_MS: u64 = 30_000;
/// Time for the jobs of a round that nothing hinders, beyond the machine's own limits.
const JOBS_MS: u64 = 60_000;

pub fn round_spec() -> RoundSpec {
    RoundSpec {
        max_contributions: 20,
        ..RoundSpec::default()
    }
}

/// Packets merged in one round at most.
pub fn most_merged() -> usize {
    round_spec().max_contributions as usize
}

/// How long a round may be open that nothing hinders.
pub fn round_bound_ms() -> u64 {
    let spec = round_spec();
    spec.window_ms + spec.grace_ms + ASSESS_MS + JOBS_MS
}

pub fn rules() -> Rules {
    Rules {
        gather: most_merged(),
        ..Rules::default()
    }
}

pub fn settings() -> Settings {
    Settings {
        run: RUN,
        rounds: round_spec(),
        seed_key: [7; 32],
        max_members: 4096,
        replication: Replication::default(),
        assessing: Some(Assessing {
            bound_ms: ASSESS_MS,
            reserve: RESERVE,
        }),
    }
}
