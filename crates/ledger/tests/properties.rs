//! What holds whatever people do (economics section 4.2), over random sequences of every call, by people
//! with and without anything, with jumps of the clock and epochs in between.
//!
//! The invariants themselves are in `common/play.rs` and `common::check`; they are asked after every step.
//! What a reader would get wrong: a property over sequences that are all refused proves nothing, so the
//! first test also counts, and fails if any call never succeeded.

mod common;
#[path = "common/play.rs"]
mod play;

use std::cell::RefCell;
use std::collections::BTreeMap;

use covey_ledger::{Ledger, NetUid, call::Call};
use play::{Move, Play, base, moves};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use common::RUN;

fn played(moves: &[Move]) -> Play {
    let (ledger, entries) = base();
    let mut play = Play::new(ledger, entries);
    for step in moves {
        play.step(step);
    }
    // Whatever was announced comes about.
    play.wait(600);
    play
}

/// Every call by the name it has in JSON.
const CALLS: [&str; 30] = [
    "add_stake",
    "remove_stake",
    "add_stake_limit",
    "remove_stake_limit",
    "remove_stake_full_limit",
    "move_stake",
    "swap_stake",
    "swap_stake_limit",
    "transfer_stake",
    "unstake_all",
    "transfer_keep_alive",
    "lock_stake",
    "move_lock",
    "set_perpetual_lock",
    "set_reject_locked_alpha",
    "unlock_stake",
    "burned_register",
    "register_network",
    "increase_take",
    "decrease_take",
    "announce_coldkey_swap",
    "cancel_coldkey_swap",
    "swap_coldkey_announced",
    "set_weights",
    "propose",
    "approve",
    "withdraw_approval",
    "resign_role",
    "set_revenue_share",
    "session",
];

#[test]
fn every_call_succeeds_somewhere_and_the_invariants_hold_everywhere() {
    // The same sequences each time, so that the counts below do not depend on luck.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::with_cases(160), rng);
    let sums = RefCell::new((BTreeMap::<String, usize>::new(), [0_usize; 3]));
    let outcome = runner.run(&moves(20..120), |moves| {
        let play = played(&moves);
        let (done, deep) = &mut *sums.borrow_mut();
        for (name, count) in play.done {
            *done.entry(name).or_default() += count;
        }
        let reached = [play.takeovers, play.executed, play.locked_transfers];
        deep.iter_mut()
            .zip(reached)
            .for_each(|(sum, more)| *sum += more);
        Ok(())
    });
    if let Err(problem) = outcome {
        panic!("{problem}");
    }
    let (done, [takeovers, executed, locked_transfers]) = sums.into_inner();
    println!(
        "{done:?}; {takeovers} takeovers, {executed} executed, {locked_transfers} locked transfers"
    );
    for name in CALLS {
        assert!(
            done.get(name).is_some_and(|count| *count > 0),
            "{name} never succeeded"
        );
    }
    assert_eq!(done.len(), CALLS.len());
    assert!(takeovers > 0 && executed > 0 && locked_transfers > 0);
}

fn is_governance(step: &Move) -> bool {
    matches!(step, Move::Call { kind: 24..=27, .. })
}

proptest! {
    #![proptest_config(Config::with_cases(48))]

    #[test]
    fn the_invariants_hold_over_sequences_never_seen_before(moves in moves(1..80)) {
        played(&moves);
    }

    #[test]
    fn a_replay_reaches_the_same_state_by_the_same_hashes(moves in moves(1..40)) {
        let play = played(&moves);
        let mut replay = Ledger::from_genesis(&play.entries[0]).unwrap();
        for entry in &play.entries[1..] {
            let applied = replay.replay(entry).unwrap();
            prop_assert_eq!(&applied.entry, entry);
        }
        prop_assert_eq!(replay.state().hash(), play.ledger.state().hash());
        prop_assert_eq!(replay, play.ledger);
    }

    #[test]
    fn what_is_emitted_does_not_depend_on_what_governance_does(moves in moves(20..80)) {
        // Two runs that differ in governance alone: one has none, in the other two keys agree to everything.
        let ordinary = |step: &Move| matches!(step, Move::Call { kind: 0 | 10..=16 | 19..=20 | 23, .. } | Move::Wait(_));
        let (mut with, mut without) = (Play::new(base().0, Vec::new()), Play::new(base().0, Vec::new()));
        for step in &moves {
            if is_governance(step) {
                with.step(step);
                let open: Vec<u64> = with.ledger.state().governance.proposals.keys().copied().collect();
                for proposal in open {
                    let _ = with.call(3, Call::Approve { proposal });
                    let _ = with.call(5, Call::Approve { proposal });
                }
            } else if ordinary(step) {
                with.step(step);
                without.step(step);
            }
        }
        with.wait(600);
        without.wait(600);
        // Every block's TAO and every block's alpha of every subnet, over the whole run.
        prop_assert_eq!(&with.paid, &without.paid);
        prop_assert!(with.paid.iter().any(|(_, netuid, tao, _)| *netuid == RUN && tao.0 > 0));
        prop_assert!(with.paid.iter().any(|(_, netuid, _, _)| *netuid == NetUid(2)));
    }
}
