//! What a wallet page opens: the state of a whole run, from a coordinator that nobody has to believe.

use covey_ledger::{Ledger, Rao, call::Call};
use covey_wallet::{Wallet, view::quote::Side};

use crate::{
    journal::vouched,
    world::{PEOPLE, RUN, account, world},
};

/// The state's bytes, read as they are; then with the head and the entry that vouch for them, which a
/// lying coordinator would make up as well. Every view of such a state is drawn.
pub mod snapshot {
    use super::*;

    pub fn run(data: &[u8]) {
        let _ = Wallet::open(data);
        let Some(ledger) = Ledger::restore(data) else {
            return;
        };
        assert_eq!(ledger.snapshot(), data, "one state has one snapshot");
        let entry = vouched(&ledger, ledger.len().saturating_sub(1));
        let Some(bytes) = with_head(data, &entry.hash()) else {
            return;
        };
        let mut body = entry.line().text().into_bytes();
        body.push(b'\n');
        body.extend(bytes);
        // A number beyond 2^53 has no canonical text, so nothing vouches for such a state.
        let Ok(wallet) = Wallet::open(&body) else {
            return;
        };
        look(&wallet);
    }

    /// The bytes with another head: magic, index, then the head's 64 digits behind their length.
    fn with_head(data: &[u8], head: &covey_protocol::Hash) -> Option<Vec<u8>> {
        let index = data.get(4..)?.iter().position(|byte| *byte < 128)?;
        let at = 4 + index + 2;
        let mut bytes = data.to_vec();
        bytes
            .get_mut(at..at + 64)?
            .copy_from_slice(head.to_string().as_bytes());
        Some(bytes)
    }

    fn look(wallet: &Wallet) {
        let height = wallet.ledger().state().height;
        for height in [
            height,
            height.saturating_add(100),
            height.saturating_add(100_000),
        ] {
            let _ = wallet.head();
            let _ = wallet.managers(height);
            let _ = wallet.ownership(height);
            let _ = wallet.notices(height);
            for name in PEOPLE {
                let _ = wallet.overview(&account(name), height);
            }
        }
        for side in [Side::Buy, Side::Sell] {
            let _ = wallet.quote(side, 1_000_000_000, 0.05);
        }
        let stake = Call::AddStake {
            hotkey: account("//Bob"),
            netuid: RUN,
            amount_staked: Rao(1_000_000_000),
        };
        let _ = wallet.draft(account("//Dave"), stake, height);
        let _ = wallet.projection(account("//Charlie"), None, height, 7200);
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut first = Ledger::new(crate::world::genesis()).expect("a genesis").0;
        let genesis = first.snapshot();
        first.epoch(360).expect("the epoch is due");
        vec![genesis, world().ledger.snapshot()]
    }
}
