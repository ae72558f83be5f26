//! A list whose elements keep their slot while their place changes: the order of a session's partitions.

/// Names an element until it is removed; afterwards it may name another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// No element.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Node<T> {
    /// `None` while the slot is free; then `after` is the next free one.
    value: Option<T>,
    before: u32,
    after: u32,
}

/// A doubly linked list in a vector. Every operation but iteration takes constant time.
#[derive(Debug)]
pub(super) struct Ordered<T> {
    nodes: Vec<Node<T>>,
    first: u32,
    last: u32,
    free: u32,
    len: usize,
}

impl<T> Ordered<T> {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(capacity),
            first: NONE,
            last: NONE,
            free: NONE,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an element behind the last.
    pub(super) fn push(&mut self, value: T) -> Slot {
        let node = Node {
            value: Some(value),
            before: NONE,
            after: NONE,
        };
        let slot = if self.free == NONE {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).expect("the bound on cached partitions is far below 2^32")
        } else {
            let slot = self.free;
            self.free = self.nodes[slot as usize].after;
            self.nodes[slot as usize] = node;
            slot
        };
        self.link_last(slot);
        self.len += 1;
        Slot(slot)
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
        let value = self.nodes.get_mut(slot.0 as usize)?.value.take()?;
        self.unlink(slot.0);
        self.nodes[slot.0 as usize].after = self.free;
        self.free = slot.0;
        self.len -= 1;
        Some(value)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.nodes.get_mut(slot.0 as usize)?.value.as_mut()
    }

    /// Moves an element behind the last.
    pub(super) fn move_last(&mut self, slot: Slot) {
        if self.get_mut(slot).is_some() {
            self.unlink(slot.0);
            self.link_last(slot.0);
        }
    }

    /// The elements in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        let mut next = self.first;
        std::iter::from_fn(move || {
            let slot = Slot(next);
            let node = self.nodes.get(next as usize)?;
            next = node.after;
            node.value.as_ref().map(|value| (slot, value))
        })
    }

    fn link_last(&mut self, slot: u32) {
        let before = self.last;
        let node = &mut self.nodes[slot as usize];
        (node.before, node.after) = (before, NONE);
        match self.nodes.get_mut(before as usize) {
            Some(before) => before.after = slot,
            None => self.first = slot,
        }
        self.last = slot;
    }

    fn unlink(&mut self, slot: u32) {
        let Node { before, after, .. } = self.nodes[slot as usize];
        match self.nodes.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => self.first = after,
        }
        match self.nodes.get_mut(after as usize) {
            Some(after) => after.before = before,
            None => self.last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

        /// Against a vector that does the same in linear time.
        #[test]
        fn behaves_like_a_vector(steps in prop::collection::vec((0u8..4, any::<u16>()), 0..100)) {
            let mut list = Ordered::with_capacity(0);
            let mut model: Vec<(Slot, u16)> = Vec::new();
            for (step, value) in steps {
                let at = usize::from(value) % model.len().max(1);
                match step {
                    0 | 1 => {
                        let slot = list.push(value);
                        prop_assert!(model.iter().all(|(other, _)| *other != slot));
                        model.push((slot, value));
                    }
                    2 if !model.is_empty() => {
                        let (slot, value) = model.remove(at);
                        prop_assert_eq!(list.remove(slot), Some(value));
                        prop_assert_eq!(list.remove(slot), None);
                        list.move_last(slot);
                    }
                    _ if !model.is_empty() => {
                        let element = model.remove(at);
                        list.move_last(element.0);
                        model.push(element);
                    }
                    _ => {}
                }
                prop_assert_eq!(list.len(), model.len());
                prop_assert_eq!(list.iter().map(|(slot, value)| (slot, *value)).collect::<Vec<_>>(), model.clone());
            }
        }
    }
}
