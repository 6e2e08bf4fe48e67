//! Chance that can be repeated.

/// A seeded generator (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of its own, that does not depend on how often this one was thrown.
    pub fn about(&self, what: u64) -> Self {
        Self(self.0 ^ what.wrapping_mul(0xa076_1d64_78bd_642f))
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.draw() % sides
    }

    /// From 0 to below `length`.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.roll(length.try_into().unwrap())).unwrap()
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }
}
