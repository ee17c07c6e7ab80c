//! The ways of lying as a validator: what each makes of the weights that it should have set.
//!
//! Pure, and blind to what a key is, so that the benchmark and the ledger's tests lie alike. What a reader
//! would get wrong: a lie is told in full every epoch. A liar that tells the truth most of the time earns
//! most of the time, and has then mostly told the truth.

/// How a validator lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// The best are called the worst.
    Inverted,
    /// Everything to one friend that does no work.
    Friend,
    /// No work of its own: what others said an epoch ago.
    LateCopy,
}

impl Lie {
    pub const ALL: [Self; 3] = [Self::Inverted, Self::Friend, Self::LateCopy];

    pub fn name(self) -> &'static str {
        match self {
            Self::Inverted => "inverted weights",
            Self::Friend => "all weight to a friend",
            Self::LateCopy => "last epoch's weights of others",
        }
    }

    /// Weights by contributor, ascending as `set_weights` takes them. `honest` is what the liar's own work
    /// would have shown, `before` what an honest validator said an epoch ago; both ascending.
    pub fn weights<K: Copy + Ord>(
        self,
        honest: &[(K, u16)],
        before: &[(K, u16)],
        friend: K,
    ) -> Vec<(K, u16)> {
        match self {
            Self::Inverted => {
                let inverted = |(key, weight): &(K, u16)| (*key, u16::MAX - weight);
                honest.iter().map(inverted).collect()
            }
            Self::Friend => vec![(friend, u16::MAX)],
            Self::LateCopy => before.to_vec(),
        }
    }
}
