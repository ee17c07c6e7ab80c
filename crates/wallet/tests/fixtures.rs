//! Native and WebAssembly must say the same: a small run is played here and, when `COVEY_WALLET_FIXTURES`
//! names a folder, written down with what native code says about it. `tests/wallet` holds the built module
//! to that in Node.

mod common;

use std::{fs, path::Path};

use common::*;
use covey_ledger::{Alpha, call::Call};
use covey_wallet::{Audit, Wallet, view::quote::Side};
use serde_json::json;

/// A few days of it, with emission: staking, locks, an unlock.
fn play() -> Run {
    let mut genesis = genesis();
    genesis.schedule.alpha_per_block = Alpha(T);
    genesis.schedule.tao_per_block = covey_ledger::Rao(T);
    let mut run = Run::new(genesis);
    run.act("//Dave", stake(2, 100 * T));
    run.act("//Charlie", lock(3, 2000 * T));
    run.go_to(2 * DAY);
    run.act("//Bob", lock(2, 1000 * T));
    let amount = Alpha(250 * T);
    let netuid = RUN;
    run.act("//Bob", Call::UnlockStake { netuid, amount });
    let epoch = run.ledger.next_epoch();
    run.go_to(epoch);
    run
}

#[test]
fn a_run_opens_from_its_snapshot_and_replays_from_its_journal() {
    let run = play();
    let wallet = Wallet::open(&run.snapshot()).unwrap();
    assert_eq!(wallet.ledger(), &run.ledger);
    let mut audit = Audit::new();
    let progress = audit.feed(&run.lines()).unwrap();
    assert_eq!(audit.finish().unwrap(), progress);
    assert_eq!(progress.head, run.ledger.head().to_string());
    assert_eq!(progress.state, run.ledger.state().hash().to_string());
    if let Some(folder) = std::env::var_os("COVEY_WALLET_FIXTURES") {
        write(&run, &wallet, Path::new(&folder));
    }
}

fn write(run: &Run, wallet: &Wallet, folder: &Path) {
    let height = run.height() + 50;
    let accounts = ["//Alice", "//Bob", "//Charlie", "//Dave", "//Ferdie"].map(account);
    let call = lock(2, 100 * T);
    let draft = wallet
        .draft(account("//Bob"), call.clone(), height)
        .unwrap();
    let signature = key("//Bob").sign_raw(draft.message.as_bytes()).to_string();
    let projection = wallet.projection(account("//Bob"), Some(&call), height, 90 * DAY);
    let quote = |side, amount| wallet.quote(side, amount, 0.005).unwrap();
    // What the coordinator answers to the sealed draft.
    let mut after = run.ledger.clone();
    let signed = wallet
        .seal(
            draft.action.clone(),
            covey_ledger::KeyType::Sr25519,
            &signature,
        )
        .unwrap();
    let signed = serde_json::from_str(&signed).unwrap();
    let entry = after.action(height, signed).unwrap().entry;
    let views = json!({
        "height": height,
        "head": wallet.head(),
        "accounts": accounts.map(|account| account.to_string()),
        "overviews": accounts.map(|account| wallet.overview(&account, height)),
        "managers": wallet.managers(height),
        "ownership": wallet.ownership(height),
        "notices": wallet.notices(height),
        "buy": quote(Side::Buy, 123_456_789_012),
        "sell": quote(Side::Sell, 98_765_432_109),
        "call": call,
        "projection": projection.unwrap(),
        "draft": draft,
        "signature": signature,
        "entry": entry.line().text(),
    });
    fs::write(folder.join("journal.ndjson"), run.lines()).unwrap();
    fs::write(folder.join("snapshot.bin"), run.snapshot()).unwrap();
    fs::write(folder.join("views.json"), views.to_string()).unwrap();
}
