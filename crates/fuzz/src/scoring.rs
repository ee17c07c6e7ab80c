//! The book of scores, as it is stored and as a mirror fetches it.

use covey_protocol::{Hash, Round, VolunteerId};
use covey_scoring::{
    Book, Delivered, Evaluation, Evidence, Finding, Rules, Work, checks::OverlapVerdict,
};

fn evidence(volunteer: VolunteerId, round: u64) -> Evidence {
    Evidence {
        volunteer,
        work: Work::Delivered(Delivered {
            payload: Hash::of(&[volunteer.0.as_slice(), &round.to_le_bytes()].concat()),
            claimed: 1.0,
            finding: Finding {
                fault: None,
                overlap: OverlapVerdict::Clear,
                norm: 1.0,
            },
            evaluation: Some(Evaluation {
                own: 0.02,
                random: 0.01,
            }),
        }),
    }
}

pub mod book {
    use super::*;

    /// Any book that can be read goes on: a round is taken in, and weights come out of it.
    pub fn run(data: &[u8]) {
        let Ok(mut book) = serde_json::from_slice::<Book>(data) else {
            return;
        };
        let text = serde_json::to_vec(&book).expect("what was read can be written");
        let again: Book = serde_json::from_slice(&text).expect("and read again");
        assert_eq!(serde_json::to_vec(&again).expect("and written again"), text);
        let rules = Rules::default();
        let volunteers = [VolunteerId([1; 32]), VolunteerId([2; 32])];
        let pieces = volunteers.map(|volunteer| evidence(volunteer, 99));
        let _ = book.turns(&volunteers);
        let verdicts = book.observe(&rules, Round(99), &pieces);
        assert_eq!(verdicts.selected.len() + verdicts.excluded.len(), 2);
        // Scores that are no numbers are refused by their own error.
        let _ = book.weights(&rules);
        let _ = book.standings(&rules);
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut book = Book::default();
        let mut seeds = vec![serde_json::to_vec(&book).expect("it can be written")];
        for round in 0..6 {
            let pieces = [1, 2, 3].map(|n| match (n, round) {
                (3, 2..) => Evidence {
                    volunteer: VolunteerId([3; 32]),
                    work: Work::Missing,
                },
                (n, _) => evidence(VolunteerId([n; 32]), round),
            });
            book.observe(&Rules::default(), Round(round), &pieces);
        }
        seeds.push(serde_json::to_vec(&book).expect("it can be written"));
        seeds
    }
}
