//! What witnesses, validators and successors sign, as JSON. Each is decoded as it comes, then signed by a
//! key of ours, so that what stands behind the signature is reached.

use covey_protocol::{Hash, Identity, Round};

fn me() -> Identity {
    Identity::from_secret([7; 32])
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it can be written")
}

pub mod statement {
    use covey_protocol::witness::{
        Equivocation, LedgerSeen, Place, SignedStatement, Statement, Verdict, WitnessKind,
        Witnesses,
    };

    use super::*;

    pub fn run(data: &[u8]) {
        if let Ok(witnesses) = serde_json::from_slice::<Witnesses>(data) {
            serde_json::from_slice::<Witnesses>(&json(&witnesses)).expect("it was just written");
        }
        if let Ok(both) = serde_json::from_slice::<Equivocation>(data) {
            let _ = both.verify();
        }
        let Ok(sent) = serde_json::from_slice::<SignedStatement>(data) else {
            return;
        };
        assert_eq!(
            serde_json::from_slice::<SignedStatement>(&json(&sent)).ok(),
            Some(sent.clone())
        );
        let _ = sent.verify();
        let signed = sent.statement.sign(&me());
        let read: SignedStatement = serde_json::from_slice(&json(&signed)).expect("just written");
        // The signature holds wherever the lengths do.
        assert_eq!(read.verify().is_ok(), signed.verify().is_ok());
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let statement = |verdict| Statement {
            run: Hash([1; 32]),
            kind: WitnessKind::Server,
            name: "mirror".to_owned(),
            round: Round(9),
            theta: Hash([2; 32]),
            record: Some(Hash([3; 32])),
            ledger: Some(LedgerSeen {
                entries: 4,
                head: Hash([4; 32]),
                height: 360,
                state: Hash([5; 32]),
            }),
            verdict,
        };
        let wrong = Verdict::Disagrees {
            place: Place::Weights,
            number: 9,
            expected: "aa".to_owned(),
            found: "bb".to_owned(),
        };
        let first = crate::protocol::answers::record();
        let second = first.clone();
        let both = Equivocation {
            coordinator: me().id(),
            first,
            second,
        };
        vec![
            json(&statement(Verdict::Agrees).sign(&me())),
            json(&statement(wrong).sign(&me())),
            json(&both),
        ]
    }
}

pub mod sheet {
    use covey_protocol::validation::{Loss, Losses, Scored, Sheet, SignedSheet};

    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(sent) = SignedSheet::parse(data) else {
            return;
        };
        assert_eq!(SignedSheet::parse(&json(&sent)).as_ref(), Ok(&sent));
        let _ = sent.verify();
        let sheet = Sheet {
            validator: me().id(),
            ..sent.sheet
        };
        let signed = sheet.sign(&me());
        assert_eq!(signed.verify().ok(), Some(&signed.sheet));
    }

    pub fn signed() -> SignedSheet {
        let scored = |losses| Scored {
            volunteer: me().id(),
            packet: Hash([6; 32]),
            inner_steps: 20,
            losses,
        };
        let losses = Losses {
            own_before: Loss(5_500_000_000),
            own_after: Loss(5_400_000_000),
            random_before: Loss(5_600_000_000),
            random_after: Loss::RUINED,
        };
        let sheet = Sheet {
            run: Hash([1; 32]),
            validator: me().id(),
            round: Round(9),
            record: Hash([3; 32]),
            scores: vec![scored(Some(losses)), scored(None)],
        };
        sheet.sign(&me())
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        vec![json(&signed())]
    }
}

pub mod handovers {
    use covey_protocol::handover::{Handover, SignedHandover, check, signer};

    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(sent) = serde_json::from_slice::<Vec<SignedHandover>>(data) else {
            return;
        };
        let read: Vec<SignedHandover> = serde_json::from_slice(&json(&sent)).expect("just written");
        assert_eq!(read, sent);
        let coordinator = sent.last().map_or(me().id(), |last| last.handover.new);
        let run = sent
            .first()
            .map_or(Hash([1; 32]), |first| first.handover.run);
        if check(&run, &sent, &coordinator).is_ok()
            && let Some(first) = sent.first()
        {
            let from = first.handover.from_round;
            assert_eq!(signer(&sent, &coordinator, Round(u64::MAX)), coordinator);
            if let Some(before) = from.0.checked_sub(1) {
                assert_eq!(
                    signer(&sent, &coordinator, Round(before)),
                    first.handover.old
                );
            }
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let next = Identity::from_secret([8; 32]);
        let handover = Handover {
            run: Hash([1; 32]),
            from_round: Round(5),
            last_record: Some(Hash([3; 32])),
            old: me().id(),
            new: next.id(),
        };
        vec![b"[]".to_vec(), json(&vec![handover.sign(&next)])]
    }
}
