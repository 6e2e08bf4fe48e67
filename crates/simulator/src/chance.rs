//! Chance that can be repeated: a pure function of the seed and of what is being decided.

use testsmith_domain::FieldHasher;

/// A source of figures for one decision.
#[derive(Debug, Clone)]
pub(crate) struct Chance(FieldHasher);

impl Chance {
    /// Chance under `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(FieldHasher::new().field(seed.to_be_bytes()))
    }

    /// Chance for one subject among others.
    pub(crate) fn about(&self, subject: impl AsRef<[u8]>) -> Self {
        Self(self.0.clone().field(subject))
    }

    /// An evenly distributed figure, 0 inclusive to 1 exclusive.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    pub(crate) fn unit(&self, what: &str) -> f64 {
        (self.bits(what) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// An index below `len`, which must not be 0.
    pub(crate) fn index(&self, what: &str, len: usize) -> usize {
        usize::try_from(self.bits(what) % len.max(1) as u64).unwrap_or(0)
    }

    fn bits(&self, what: &str) -> u64 {
        let digest = self.0.clone().field(what).finish();
        digest
            .as_bytes()
            .iter()
            .take(8)
            .fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_repeatable() {
        let mean = (0..2_000_u32)
            .map(|i| Chance::new(1).about(i.to_be_bytes()).unit("x"))
            .sum::<f64>()
            / 2_000.0;
        assert!((0.47..0.53).contains(&mean), "{mean}");
        let draw = |seed| Chance::new(seed).about("a").unit("x").to_bits();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
