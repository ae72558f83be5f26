//! Values of every message for the tests, made from a string of entropy so that a failure shrinks to a small message.

use super::Layout;

/// Turns entropy into values; when it runs out, everything is empty or zero.
pub struct Sampler<'e> {
    entropy: &'e [u8],
    layout: Layout,
}

impl<'e> Sampler<'e> {
    /// Makes values that the given version can carry.
    pub fn new(entropy: &'e [u8], layout: Layout) -> Self {
        Self { entropy, layout }
    }

    /// The version the values are for.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The next bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let count = N.min(self.entropy.len());
        bytes[..count].copy_from_slice(&self.entropy[..count]);
        self.entropy = &self.entropy[count..];
        bytes
    }

    /// True as often as not.
    pub fn flag(&mut self) -> bool {
        self.array::<1>()[0] & 1 == 1
    }

    /// A small number, for lengths.
    pub fn count(&mut self) -> usize {
        usize::from(self.array::<1>()[0] % 4)
    }

    /// A short string, not only of ASCII.
    pub fn text(&mut self) -> String {
        (0..self.count() * 2)
            .map(|_| ['a', 'Z', '.', '_', 'é', '漢', '\0', '9'][usize::from(self.array::<1>()[0] % 8)])
            .collect()
    }
}
