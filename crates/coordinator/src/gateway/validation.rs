//! Validators' doors: what one is to score, taking its sheet, and showing what all of them said.
//!
//! 1. [`task`] says how a key stands on the ledger and which packets of the last round are its to score.
//!    Whoever asks has opted in; the draw is public and costs nothing.
//! 2. [`submit`] takes a signed sheet: from a validator with stake and a permit, about a round that is
//!    not long over, naming exactly the record's packets, with scores for none but those assigned. It
//!    is durable before the answer.
//! 3. [`list`] shows sheets once their round takes no more.
//!
//! What a reader would get wrong: the losses themselves are not checked. A validator that lies is left to
//! Yuma consensus, where it loses its dividends; here a lie is only kept, signed, for everyone to see.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::{ConnectInfo, Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use covey_ledger::{AccountId, epoch, genesis::RUN, state::State as LedgerState};
use covey_protocol::{
    Hash, Round, VolunteerId,
    http::ErrorCode,
    limits::MAX_SHEET,
    record::RoundRecord,
    validation::{Assignment, LATEST, Sheet, SignedSheet, Standing, Task, Validations},
};
use covey_scoring::validation::assigned;
use serde::{Deserialize, Serialize};

use super::{Gateway, error::Refusal, fixed, ledger::act::receive};
use crate::{engine::code_of, storage::blocking, validations::Kept};

const NO_STORE: [(header::HeaderName, header::HeaderValue); 1] =
    [(header::CACHE_CONTROL, fixed("no-store"))];

/// `GET /v1/validators/{id}`
pub async fn task(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let validator: VolunteerId = id
        .parse()
        .map_err(|_| Refusal::new(ErrorCode::Malformed, "A key is 64 hex digits."))?;
    let standing = standing(&gateway, &validator)?;
    let assignment = match open_round(&gateway).0.checked_sub(1) {
        Some(last) if standing.permit => assignment(&gateway, validator, Round(last)).await?,
        _ => None,
    };
    let task = Task {
        standing,
        assignment: assignment.map(|(assignment, _)| assignment),
    };
    Ok((NO_STORE, Json(task)).into_response())
}

/// The answer to a sheet that is kept.
#[derive(Serialize)]
struct Taken {
    /// Its hash.
    sheet: Hash,
}

/// `POST /v1/validations`
pub async fn submit(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let body = receive(&gateway, peer, &headers, body, MAX_SHEET).await?;
    // Curve arithmetic takes a while: not on the runtime's threads.
    let checked = blocking(move || {
        let parsed = SignedSheet::parse(&body);
        Ok(parsed.and_then(|signed| signed.verify().map(|_| ()).map(|()| signed)))
    });
    let signed = checked
        .await
        .map_err(|error| Refusal::storage(&error))?
        .map_err(|error| Refusal::new(code_of(&error), error.to_string()))?;
    let sheet = &signed.sheet;
    let taken = Json(Taken {
        sheet: signed.hash(),
    });
    if known(&gateway, sheet).await?.as_ref() == Some(&signed) {
        return Ok((NO_STORE, taken).into_response());
    }
    if !standing(&gateway, &sheet.validator)?.permit {
        let message = "Scores are taken from registered hotkeys with stake and a permit.";
        return Err(Refusal::new(ErrorCode::NotValidator, message));
    }
    in_time(open_round(&gateway), sheet.round)?;
    let (assignment, record) = assignment(&gateway, sheet.validator, sheet.round)
        .await?
        .ok_or_else(|| Refusal::new(ErrorCode::NotAssigned, "Nothing was merged in that round."))?;
    fits(sheet, &gateway.engine.run(), &record, &assignment)?;
    let sheets = Arc::clone(&gateway.sheets);
    let kept = blocking(move || sheets.keep(&signed))
        .await
        .map_err(|error| Refusal::storage(&error))?;
    match kept {
        Kept::Yes => Ok((NO_STORE, taken).into_response()),
        Kept::Other => Err(Refusal::new(
            ErrorCode::Duplicate,
            "Another sheet of this validator was already taken for this round.",
        )),
        Kept::Full => Err(Refusal::new(
            ErrorCode::RoundFull,
            "This round has all the sheets it may have.",
        )),
    }
}

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    from: u64,
    validator: Option<VolunteerId>,
}

/// `GET /v1/validations?from=N&validator=ID`
pub async fn list(
    State(gateway): State<Gateway>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Wanted { from, validator }) = query.map_err(|_| {
        let message = "from is the number of a round, validator a key of 64 hex digits.";
        Refusal::new(ErrorCode::Malformed, message)
    })?;
    // The first round that may still get a sheet.
    let before = Round(open_round(&gateway).0.saturating_sub(LATEST));
    let sheets = Arc::clone(&gateway.sheets);
    let validations: Validations = blocking(move || sheets.list(Round(from), before, validator))
        .await
        .map_err(|error| Refusal::storage(&error))?;
    Ok((NO_STORE, Json(validations)).into_response())
}

fn open_round(gateway: &Gateway) -> Round {
    gateway.handle.published.info.load().round
}

async fn known(gateway: &Gateway, sheet: &Sheet) -> Result<Option<SignedSheet>, Refusal> {
    let (sheets, round, validator) = (Arc::clone(&gateway.sheets), sheet.round, sheet.validator);
    blocking(move || sheets.get(round, validator))
        .await
        .map_err(|error| Refusal::storage(&error))
}

/// How a key stands on the ledger now.
fn standing(gateway: &Gateway, validator: &VolunteerId) -> Result<Standing, Refusal> {
    let view = gateway.ledger.view();
    let state = view.position.ledger.state();
    let place = state.subnets.get(&RUN).ok_or_else(Refusal::unavailable)?;
    let account = AccountId(validator.0);
    let found = epoch::standing(place, &account, &state.schedule);
    Ok(Standing {
        registered: found.registered,
        stake: found.stake.0.to_string(),
        permit: found.permit,
        owner: VolunteerId(place.owner_hotkey.0),
        nonce: state.accounts.get(&account).map_or(0, |known| known.nonce),
        height: view.height(),
        epoch: state.epoch,
        weights_set: found.said,
    })
}

/// Which of a closed round's packets a validator scores, and the round's record; nothing when there is
/// no record or nothing was merged.
async fn assignment(
    gateway: &Gateway,
    validator: VolunteerId,
    round: Round,
) -> Result<Option<(Assignment, RoundRecord)>, Refusal> {
    let journal = Arc::clone(&gateway.journal);
    let record = blocking(move || journal.records(round, 1))
        .await
        .map_err(|error| Refusal::storage(&error))?
        .pop()
        .map(|signed| signed.record)
        .filter(|record| record.round == round && !record.contributions.is_empty());
    let Some(record) = record else {
        return Ok(None);
    };
    let view = gateway.ledger.view();
    let state = view.position.ledger.state();
    let own = coldkey(state, &validator);
    let related = |other: &VolunteerId| own.is_some() && coldkey(state, other) == own;
    let hash = record.hash();
    let packets = record.contributions.iter();
    let packets = packets.map(|merged| (merged.volunteer, merged.packet));
    let assignment = Assignment {
        round,
        record: hash,
        packets: assigned(&hash, &validator, packets, related),
        until: Round(round.0.saturating_add(LATEST)),
    };
    Ok(Some((assignment, record)))
}

/// Whose wallet a key works for or belongs to, where the ledger knows.
fn coldkey(state: &LedgerState, key: &VolunteerId) -> Option<AccountId> {
    let account = AccountId(key.0);
    let session = state.sessions.get(&account).map(|session| session.coldkey);
    session.or_else(|| state.owner_of(&account))
}

/// Whether a round's sheets are taken while `open` is open.
fn in_time(open: Round, round: Round) -> Result<(), Refusal> {
    if round >= open {
        let message = "That round is not closed yet.";
        Err(Refusal::new(ErrorCode::FutureRound, message))
    } else if open.0 > round.0.saturating_add(LATEST) {
        let message = format!("Scores of round {round} came too late; go on with the last one.");
        Err(Refusal::new(ErrorCode::StaleRound, message))
    } else {
        Ok(())
    }
}

/// Whether a sheet is about this round's packets, and scores none but those assigned.
fn fits(
    sheet: &Sheet,
    run: &Hash,
    record: &RoundRecord,
    assignment: &Assignment,
) -> Result<(), Refusal> {
    if sheet.run != *run {
        let message = "The sheet is for another run.";
        return Err(Refusal::new(ErrorCode::WrongRun, message));
    }
    let named = sheet
        .scores
        .iter()
        .map(|scored| (scored.volunteer, scored.packet, scored.inner_steps));
    let merged = record
        .contributions
        .iter()
        .map(|merged| (merged.volunteer, merged.packet, merged.inner_steps));
    if sheet.record != assignment.record || !named.eq(merged) {
        let message = "The sheet does not name the packets of the round's record.";
        return Err(Refusal::new(ErrorCode::NotAssigned, message));
    }
    let mut scored = sheet.scores.iter().filter(|scored| scored.losses.is_some());
    if let Some(foreign) = scored.find(|scored| !assignment.packets.contains(&scored.packet)) {
        let message = format!("The packet {} was not assigned to it.", foreign.packet);
        return Err(Refusal::new(ErrorCode::NotAssigned, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_are_taken_for_a_few_rounds_and_shown_afterwards() {
        let code = |open, round| in_time(Round(open), Round(round)).err().map(|e| e.0.code);
        assert_eq!(code(5, 5), Some(ErrorCode::FutureRound));
        assert_eq!(code(5, 4), None);
        assert_eq!(code(4 + LATEST, 4), None);
        assert_eq!(code(5 + LATEST, 4), Some(ErrorCode::StaleRound));
        assert_eq!(code(u64::MAX, u64::MAX - 1), None);
    }
}
