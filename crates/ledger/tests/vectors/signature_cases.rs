//! Every group of `signatures.json`: development keys, `signRaw` signatures, wallet answers, canonical
//! JSON and sessions. Keys, messages and expected outcomes come from the file. The development keys are
//! Substrate's published ones and the `signRaw` signatures were made by other implementations
//! (economics spec, section 5.1); sessions and canonical texts are Covey's own.

use covey_ledger::signing::{
    SignatureBytes,
    canonical::{canonical, parse_canonical},
    keys::Keypair,
    parse_wallet_signature,
    session::{SessionAuthorisation, SessionError, SignedSession},
    verify, verify_exact,
};
use covey_ledger::{AccountId, KeyType};
use covey_protocol::Hash;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    development_keys: Vec<DevelopmentKey>,
    sign_raw: Vec<SignRaw>,
    wallet_answers: Vec<WalletAnswer>,
    canonical: Vec<Canonical>,
    sessions: Vec<Session>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DevelopmentKey {
    name: String,
    kind: KeyType,
    public: Hash,
    address: AccountId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignRaw {
    signer: String,
    kind: KeyType,
    message: String,
    signature: SignatureBytes,
    /// Whether every signer gives these bytes, or only accepts them.
    deterministic: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WalletAnswer {
    answer: String,
    kind: Option<KeyType>,
    /// Absent when the answer is to be refused.
    signature: Option<SignatureBytes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Canonical {
    json: String,
    /// Absent when the value has no canonical text.
    canonical: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    case: String,
    session: SignedSession,
    text: String,
    run: Hash,
    now_ms: u64,
    domains: Vec<String>,
    outcome: String,
}

/// Checks all groups; the names of the cases that passed, or what went wrong.
pub fn run(json: &str) -> Result<Vec<String>, String> {
    let vectors: Vectors = serde_json::from_str(json).map_err(|problem| problem.to_string())?;
    let mut passed = Vec::new();
    for case in &vectors.development_keys {
        let name = format!("development key {} {}", case.name, case.kind);
        development_key(case).map_err(|problem| format!("{name}: {problem}"))?;
        passed.push(name);
    }
    for (number, case) in vectors.sign_raw.iter().enumerate() {
        let name = format!("signRaw {number} {}", case.kind);
        sign_raw(case).map_err(|problem| format!("{name}: {problem}"))?;
        passed.push(name);
    }
    for (number, case) in vectors.wallet_answers.iter().enumerate() {
        let name = format!("wallet answer {number}");
        let expected = case.signature.map(|signature| (case.kind, signature));
        equal(&parse_wallet_signature(&case.answer).ok(), &expected)
            .map_err(|problem| format!("{name}: {problem}"))?;
        passed.push(name);
    }
    for (number, case) in vectors.canonical.iter().enumerate() {
        let name = format!("canonical JSON {number}");
        canonical_json(case).map_err(|problem| format!("{name}: {problem}"))?;
        passed.push(name);
    }
    for case in &vectors.sessions {
        let name = format!("session: {}", case.case);
        session(case).map_err(|problem| format!("{name}: {problem}"))?;
        passed.push(name);
    }
    if passed.is_empty() {
        return Err("the file holds no case".to_owned());
    }
    Ok(passed)
}

fn equal<T: PartialEq + std::fmt::Debug>(actual: &T, expected: &T) -> Result<(), String> {
    if actual == expected {
        Ok(())
    } else {
        Err(format!("got {actual:?}, expected {expected:?}"))
    }
}

fn development_key(case: &DevelopmentKey) -> Result<(), String> {
    let account = Keypair::from_suri(case.kind, &case.name)
        .map_err(|problem| problem.to_string())?
        .account();
    equal(&Hash(account.0), &case.public)?;
    equal(&account, &case.address)
}

fn sign_raw(case: &SignRaw) -> Result<(), String> {
    let signer =
        Keypair::from_suri(case.kind, &case.signer).map_err(|problem| problem.to_string())?;
    let (account, message) = (signer.account(), case.message.as_bytes());
    verify(&account, case.kind, message, &case.signature.0)
        .map_err(|problem| problem.to_string())?;
    if verify_exact(&account, case.kind, message, &case.signature.0).is_ok() {
        return Err("the signature holds for the unwrapped message".to_owned());
    }
    let ours = signer.sign_raw(message);
    verify(&account, case.kind, message, &ours.0).map_err(|problem| problem.to_string())?;
    if case.deterministic {
        equal(&ours, &case.signature)?;
    }
    Ok(())
}

fn canonical_json(case: &Canonical) -> Result<(), String> {
    let value: Value = serde_json::from_str(&case.json).map_err(|problem| problem.to_string())?;
    let ours = canonical(&value)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    equal(&ours, &case.canonical)?;
    match ours {
        Some(text) => equal(&parse_canonical(text.as_bytes()), &Ok(value)),
        None => Ok(()),
    }
}

fn session(case: &Session) -> Result<(), String> {
    equal(&case.session.authorisation.message(), &case.text)?;
    let domains: Vec<&str> = case.domains.iter().map(String::as_str).collect();
    let outcome = match case.session.verify(&case.run, case.now_ms, &domains) {
        Ok(()) => "accepted",
        Err(SessionError::Malformed(_)) => "malformed",
        Err(SessionError::WrongDomain(_)) => "wrong_domain",
        Err(SessionError::WrongRun(_)) => "wrong_run",
        Err(SessionError::LifetimeTooLong(_)) => "lifetime_too_long",
        Err(SessionError::NotYetValid) => "not_yet_valid",
        Err(SessionError::Expired) => "expired",
        Err(SessionError::BadWalletSignature) => "bad_wallet_signature",
        Err(SessionError::BadKeySignature) => "bad_key_signature",
    };
    equal(&outcome, &case.outcome.as_str())?;
    let read = SessionAuthorisation::parse(&case.text).ok();
    let expected = (outcome != "malformed").then(|| case.session.authorisation.clone());
    equal(&read, &expected)
}
