//! What is yet to happen, ordered by time and then by when it was put here.
//!
//! Events are large and there are tens of thousands of them, so they lie still in places of their own and
//! only small keys move about in the heap.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::world::Event;

#[derive(Default)]
pub struct Queue {
    /// When, the how-manieth ever, and the place of its event. No two share a number.
    keys: BinaryHeap<Reverse<(u64, u64, usize)>>,
    places: Vec<Option<Event>>,
    free: Vec<usize>,
    pushed: u64,
}

impl Queue {
    pub fn push(&mut self, at: u64, event: Event) {
        self.pushed += 1;
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.places.push(None);
                self.places.len() - 1
            }
        };
        if let Some(slot) = self.places.get_mut(place) {
            *slot = Some(event);
        }
        self.keys.push(Reverse((at, self.pushed, place)));
    }

    /// The first event and its time.
    pub fn pop(&mut self) -> Option<(u64, Event)> {
        let Reverse((at, _, place)) = self.keys.pop()?;
        self.free.push(place);
        Some((at, self.places.get_mut(place)?.take()?))
    }
}
