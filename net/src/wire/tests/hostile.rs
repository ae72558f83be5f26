//! Damaged messages are errors or other messages, never a panic. `tests/wire_hostile.rs` counts what they allocate.

use super::*;
use crate::wire::api::visit_messages;

struct Damage<'e> {
    entropy: &'e [u8],
    /// Places to write at and what to write.
    edits: &'e [(u16, u8)],
}

impl Visitor<'static> for Damage<'_> {
    fn visit<M: Message<'static> + Clone + Debug + PartialEq + Default>(&mut self, _: Kind) {
        for version in M::API.versions() {
            let mut bytes = encode(&sample::<M>(self.entropy, version), version).to_vec();
            for (at, value) in self.edits {
                let length = bytes.len();
                if let Some(byte) = bytes.get_mut(usize::from(*at) % length.max(1)) {
                    *byte = *value;
                }
            }
            // What is still a message is written and read again like any other.
            let bytes: &'static [u8] = bytes.leak();
            if let Ok(message) = decode::<M>(bytes, version) {
                assert_eq!(decode::<M>(encode(&message, version), version), Ok(message));
            }
            let _ = decode::<M>(self.entropy.to_vec().leak(), version);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn damage_is_survived(
        entropy in entropy(),
        edits in prop::collection::vec((any::<u16>(), prop_oneof![Just(0xff), Just(0x7f), Just(0), any::<u8>()]), 1..6),
    ) {
        visit_messages(&mut Damage { entropy: &entropy, edits: &edits });
    }
}
