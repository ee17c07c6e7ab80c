//! What every storage engine must do. The functions take the traits, so that another engine only needs
//! to be handed to them.

use std::{fs, path::Path};

use crate::disk::Disk;
use bytes::Bytes;
use covey_coordinator::storage::{
    BlobSource, Blobs, Journal, LocalBlobs, PartnerTotals, RedbJournal, StorageError,
};
use covey_protocol::{
    Hash, Identity, PartnerId, Round, SignatureBytes, VolunteerId,
    http::HeldOut,
    record::{Checkpoint, Commitment, Exclusion, ExclusionReason, RoundRecord, SignedRecord},
};
use covey_rounds::{Acceptance, Pledge};
use futures_util::StreamExt;

fn acceptance(round: u64, volunteer: u8) -> Acceptance {
    Acceptance {
        round: Round(round),
        volunteer: VolunteerId([volunteer; 32]),
        packet: Hash::of(&[round as u8, volunteer]),
        inner_steps: 4,
        tokens: 128,
        partner: None,
        received_at_ms: 1_000 + u64::from(volunteer),
    }
}

fn pledge(round: u64, volunteer: u8, order: u32) -> Pledge {
    Pledge {
        round: Round(round),
        order,
        commitment: Commitment {
            volunteer: VolunteerId([volunteer; 32]),
            packet: Hash::of(&[round as u8, volunteer]),
            signature: SignatureBytes([volunteer; 64]),
        },
    }
}

fn record(round: u64, accepted: &[Acceptance]) -> SignedRecord {
    let hash = Hash::of(b"x");
    RoundRecord {
        run: hash,
        round: Round(round),
        previous: None,
        seed: hash,
        base: hash,
        theta_after: hash,
        update: Some(hash),
        update_len: 1,
        contributions: accepted.iter().map(Acceptance::contribution).collect(),
        excluded: Vec::new(),
        commitments: Vec::new(),
        replicas: Vec::new(),
        unproven: Vec::new(),
    }
    .sign(&Identity::from_secret([1; 32]))
}

/// What a partner's page is made of: each merged packet counts once, whatever is tried again.
fn journal_counts_partners(open: impl Fn() -> Box<dyn Journal>) {
    let blog: PartnerId = "example-blog".parse().expect("an id");
    let with = |round, volunteer, partner| Acceptance {
        partner,
        ..acceptance(round, volunteer)
    };
    let journal = open();
    assert!(journal.partners().expect("read").is_empty());
    let (a, b) = (with(0, 1, Some(blog)), with(0, 2, None));
    let ghost = with(0, 3, Some(blog));
    for acceptance in [&a, &b, &ghost] {
        journal.accept(acceptance, b"packet").expect("kept");
    }
    drop(journal);

    let journal = open();
    let kept = journal.acceptances(Round(0)).expect("read");
    assert_eq!(
        kept,
        [a, b, ghost],
        "credit is part of what is acknowledged"
    );
    let first = record(0, &[a, b]);
    // The first write may have reached the disk although it failed.
    journal.record(&first, None).expect("kept");
    journal.record(&first, None).expect("kept again");
    assert_eq!(journal.acceptances(Round(0)).expect("read"), [a, b]);
    let (c, d) = (with(1, 1, Some(blog)), with(1, 4, Some(blog)));
    journal.accept(&c, b"packet").expect("kept");
    journal.accept(&d, b"packet").expect("kept");
    journal.record(&record(1, &[c, d]), None).expect("kept");
    drop(journal);

    let totals = open().partners().expect("read");
    let wanted = PartnerTotals {
        rounds: 2,
        packets: 3,
        tokens: 384,
        volunteers: 2,
        last_ms: Some(1004),
    };
    assert_eq!(totals.into_iter().collect::<Vec<_>>(), [(blog, wanted)]);
}

/// Two rounds, then whatever reopening does.
fn journal_keeps_its_promises(open: impl Fn() -> Box<dyn Journal>) {
    let journal = open();
    assert_eq!(journal.last_record().expect("read"), None);
    let (a, b, c) = (acceptance(0, 2), acceptance(0, 1), acceptance(1, 2));
    for (volunteer, order) in [(2, 0), (1, 1), (7, 2)] {
        journal.commit(&pledge(0, volunteer, order)).expect("kept");
    }
    journal.accept(&a, b"packet a").expect("kept");
    journal.accept(&a, b"packet a").expect("kept again");
    journal.accept(&b, b"packet b").expect("kept");
    drop(journal);

    let journal = open();
    assert_eq!(journal.acceptances(Round(0)).expect("read"), [b, a]);
    assert_eq!(
        journal.commitments(Round(0)).expect("read"),
        [pledge(0, 1, 1), pledge(0, 2, 0), pledge(0, 7, 2)]
    );
    assert_eq!(journal.commitments(Round(1)).expect("read"), []);
    let packet = |round, id| {
        journal
            .packet(Round(round), VolunteerId([id; 32]))
            .expect("read")
    };
    assert_eq!(packet(0, 2).as_deref(), Some(&b"packet a"[..]));
    assert_eq!(packet(0, 3), None);
    let mut first = record(0, &[b]);
    first.record.excluded = vec![Exclusion {
        volunteer: a.volunteer,
        packet: a.packet,
        reason: ExclusionReason::Harmful,
    }];
    assert_eq!(journal.book().expect("read"), None);
    journal.record(&first, None).expect("kept");
    assert_eq!(packet(0, 2), None, "its bytes are in the update now");
    let listed = journal.commitments(Round(0)).expect("read");
    assert_eq!(listed, [], "the record lists them now");
    let kept = journal.acceptances(Round(0)).expect("read");
    assert_eq!(kept, [b, a], "what was left out keeps its receipt");
    journal.accept(&c, b"packet c").expect("kept");
    // Never acknowledged: a failed write that reached the disk after all.
    journal.accept(&acceptance(1, 9), b"ghost").expect("kept");
    let second = record(1, &[c]);
    journal.record(&second, Some(b"the book")).expect("kept");
    drop(journal);

    let journal = open();
    assert_eq!(
        journal.book().expect("read").as_deref(),
        Some(&b"the book"[..])
    );
    let records = |from, limit| journal.records(Round(from), limit).expect("read");
    assert_eq!(records(0, 10), [first.clone(), second.clone()]);
    assert_eq!(records(0, 1), [first]);
    assert_eq!(records(1, 10), std::slice::from_ref(&second));
    assert_eq!(records(2, 10), []);
    assert_eq!(journal.last_record().expect("read"), Some(second));
    assert_eq!(
        journal.acceptances(Round(1)).expect("read"),
        [c],
        "no ghost"
    );
    let count = |id| journal.accepted_from(VolunteerId([id; 32])).expect("read");
    assert_eq!((count(1), count(2), count(7)), (1, 2, 0));

    let checkpoint = |round| Checkpoint {
        round: Round(round),
        theta: Hash::of(&[round as u8]),
        len: 4,
    };
    for round in [5, 0, 10] {
        journal.add_checkpoint(&checkpoint(round)).expect("kept");
    }
    journal.remove_checkpoint(Round(0)).expect("removed");
    journal
        .remove_checkpoint(Round(99))
        .expect("nothing to remove");
    assert_eq!(
        journal.checkpoints().expect("read"),
        [checkpoint(5), checkpoint(10)]
    );
    let point = |round, loss| HeldOut {
        round: Round(round),
        loss,
    };
    for held_out in [point(2, 3.0), point(1, 4.0), point(2, 2.5)] {
        journal.add_held_out(held_out).expect("kept");
    }
    assert_eq!(
        journal.held_out().expect("read"),
        [point(1, 4.0), point(2, 2.5)]
    );
    journal.probe().expect("it works");
}

#[test]
fn the_embedded_journal_keeps_its_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.redb");
    journal_keeps_its_promises(|| Box::new(RedbJournal::open(&path).expect("opened")));
}

#[test]
fn the_embedded_journal_counts_what_is_credited_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.redb");
    journal_counts_partners(|| Box::new(RedbJournal::open(&path).expect("opened")));
}

#[test]
fn a_journal_in_use_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.redb");
    let _first = RedbJournal::open(&path).expect("opened");
    assert!(matches!(RedbJournal::open(&path), Err(StorageError::InUse)));
}

#[test]
fn a_disk_that_was_full_for_a_while_needs_no_restart() {
    let disk = Disk::default();
    let journal = RedbJournal::with_opener(disk.opener()).expect("opened");
    let (a, b) = (acceptance(0, 1), acceptance(0, 2));
    journal.accept(&a, b"before").expect("kept");
    disk.fail(true);
    for _ in 0..3 {
        assert!(journal.accept(&b, b"meanwhile").is_err());
        assert!(journal.probe().is_err());
    }
    disk.fail(false);
    journal.probe().expect("it works again");
    assert_eq!(journal.acceptances(Round(0)).expect("read"), [a]);
    journal.accept(&b, b"after").expect("kept");
    assert_eq!(journal.acceptances(Round(0)).expect("read"), [a, b]);
}

async fn blobs_keep_their_promises(open: impl Fn() -> Box<dyn Blobs>) {
    let blobs = open();
    let bytes = Bytes::from_static(b"0123456789");
    let name = blobs.put(bytes.clone()).await.expect("kept");
    assert_eq!(name, Hash::of(&bytes));
    assert_eq!(blobs.put(bytes.clone()).await.expect("kept again"), name);
    drop(blobs);

    let blobs = open();
    assert_eq!(blobs.len(&name).await.expect("read"), Some(10));
    assert_eq!(blobs.get(&name).await.expect("read"), Some(bytes));
    let part = blobs
        .stream(&name, Some(2..5))
        .await
        .expect("read")
        .expect("there");
    assert_eq!((part.len, part.range.clone()), (10, 2..5));
    let parts: Vec<Bytes> = part.bytes.map(|part| part.expect("bytes")).collect().await;
    assert_eq!(parts.concat(), b"234");
    let other = Hash::of(b"other");
    assert_eq!(blobs.len(&other).await.expect("read"), None);
    assert_eq!(blobs.get(&other).await.expect("read"), None);
    assert!(blobs.stream(&other, None).await.expect("read").is_none());
    blobs.delete(&name).await.expect("deleted");
    blobs.delete(&name).await.expect("nothing to delete");
    assert_eq!(blobs.len(&name).await.expect("read"), None);
}

fn local(folder: &Path) -> LocalBlobs {
    LocalBlobs::open(folder).expect("opened")
}

#[tokio::test]
async fn local_blobs_keep_their_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    blobs_keep_their_promises(|| Box::new(local(folder.path()))).await;
}

#[tokio::test]
async fn a_damaged_blob_counts_as_missing_and_is_healed_by_writing_it_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = local(folder.path());
    let bytes = Bytes::from_static(b"content");
    let name = blobs.put(bytes.clone()).await.expect("kept");
    fs::write(folder.path().join(name.to_string()), b"c0ntent").expect("damaged");
    assert_eq!(blobs.get(&name).await.expect("read"), None);
    blobs.put(bytes.clone()).await.expect("kept");
    assert_eq!(blobs.get(&name).await.expect("read"), Some(bytes));
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = local(folder.path())
        .put(Bytes::from_static(b"whole"))
        .await
        .expect("kept");
    let staged = folder.path().join(format!("{}#1", Hash::of(b"half")));
    fs::write(&staged, b"ha").expect("written");
    let blobs = local(folder.path());
    assert!(!staged.exists());
    assert!(blobs.get(&name).await.expect("read").is_some());
}
