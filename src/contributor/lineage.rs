//! Who coordinates the run, and how this tab knows.
//!
//! The first coordinator a browser meets in a run is taken at its word; its key and the last record that
//! this tab agreed to are remembered. Another key is accepted only with handovers that lead to it from the
//! one that is known, and only if the last agreed record is in its chain as well: nobody can make a tab
//! forget what it has recomputed.
//!
//! What a reader would get wrong: a handover is a claim. Where two coordinators claim the same run with
//! different keys, nothing here chooses between them; the volunteer does.

use covey_protocol::{Hash, Round, VolunteerId, http::RunInfo};
use futures::{FutureExt, select_biased};
use serde::{Deserialize, Serialize};

use super::{client::Client, platform::sleep, shared::Shared, view::HandoverView};

/// Milliseconds for another coordinator to say that it claims the run as well.
const COMPARE_MS: f64 = 4_000.0;

/// What is remembered of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub run: Hash,
    pub coordinator: VolunteerId,
    /// The last record that was agreed to.
    pub last: Option<(Round, Hash)>,
}

/// Why a coordinator is not followed.
pub enum Refusal {
    /// It may be another time, or another address.
    Strange(String),
    /// Two claim the run; both are named.
    Two(String),
}

/// Decides whether the coordinator that answers is the run's, and remembers it.
///
/// # Errors
/// Why it is not followed; nothing is remembered then.
pub async fn admit(
    shared: &Shared,
    client: &Client,
    coordinators: &[String],
    run: &RunInfo,
) -> Result<(), Refusal> {
    run.check_handovers().map_err(|error| {
        Refusal::Strange(format!(
            "The coordinator shows handovers that do not hold ({error})."
        ))
    })?;
    let known = shared.link.borrow().known.clone();
    let known = known.filter(|known| known.run == run.run);
    let changed = known
        .as_ref()
        .filter(|known| known.coordinator != run.coordinator);
    if let Some(known) = changed {
        if !run.descends_from(&known.coordinator) {
            return Err(Refusal::Strange(
                "Another coordinator signs here than the one this browser knows, and nothing says how it came to. If the run was begun anew, delete what this browser stored.".into(),
            ));
        }
        if let Some((round, record)) = known.last {
            let records = client.records(round, run).await;
            let records = records.map_err(|error| Refusal::Strange(format!("{error}.")))?;
            let served = records.first().map(|signed| signed.record.hash());
            if served != Some(record) {
                let other = if served.is_some() {
                    "another one"
                } else {
                    "not there"
                };
                return Err(Refusal::Strange(format!(
                    "Another coordinator goes on with the run here, but not from what this tab recomputed: its round {round} is {other}."
                )));
            }
        }
        if let Some((url, key)) = rival(shared, client, coordinators, run).await {
            return Err(Refusal::Two(format!(
                "Two coordinators claim this run: {} (key {}) and {url} (key {}).",
                client.base(),
                short(&run.coordinator),
                short(&key)
            )));
        }
    }
    let last = known.as_ref().and_then(|known| known.last);
    let changed_here = changed.is_some();
    shared.link.borrow_mut().known = Some(Known {
        run: run.run,
        coordinator: run.coordinator,
        last,
    });
    shared.show(|view| {
        let newest = run.handovers.last().map(|signed| signed.handover);
        view.handover = newest.map(|handover| HandoverView {
            old: handover.old,
            new: handover.new,
            round: handover.from_round,
            changed_here: changed_here || view.handover.as_ref().is_some_and(|h| h.changed_here),
        });
    });
    Ok(())
}

/// Another listed address whose coordinator claims the same run with another key.
async fn rival(
    shared: &Shared,
    client: &Client,
    coordinators: &[String],
    run: &RunInfo,
) -> Option<(String, VolunteerId)> {
    for base in coordinators {
        let other = Client::new(base, shared.traffic.clone());
        if other.base() == client.base() {
            continue;
        }
        let (mut answer, mut late) = (
            Box::pin(other.run().fuse()),
            Box::pin(sleep(COMPARE_MS).fuse()),
        );
        let answer = select_biased! {
            answer = answer => answer.ok(),
            () = late => None,
        };
        let claims = |info: &RunInfo| {
            info.run == run.run && info.mirror.is_none() && info.coordinator != run.coordinator
        };
        if let Some(info) = answer.filter(claims) {
            return Some((base.clone(), info.coordinator));
        }
    }
    None
}

fn short(key: &VolunteerId) -> String {
    key.to_string().chars().take(12).collect()
}
