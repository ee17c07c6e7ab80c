//! The one map of the state: ordered, so that iteration and snapshots are the same everywhere, and
//! persistent, so that a copy of the whole state is a few pointers.

/// An ordered map with structural sharing.
pub type Map<K, V> = rpds::RedBlackTreeMapSync<K, V>;

/// An ordered set with structural sharing.
pub type Set<T> = rpds::RedBlackTreeSetSync<T>;
