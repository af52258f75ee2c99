//! Random numbers that a failing test can repeat.

use std::hash::{BuildHasher, RandomState};

/// The variable that sets the seed of [`Random::fresh`].
const SEED: &str = "TEST_SEED";

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed makes the same numbers, on each machine and in each release.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers of a new seed, which is printed; `TEST_SEED` repeats them.
    ///
    /// # Panics
    /// When `TEST_SEED` is not a number.
    pub fn fresh() -> Self {
        let given = std::env::var(SEED).ok().map(|seed| seed.parse());
        let seed = match given {
            Some(Ok(seed)) => seed,
            Some(Err(error)) => panic!("{SEED}: {error}"),
            None => RandomState::new().hash_one(()),
        };
        println!("{SEED}={seed} repeats these random numbers");
        Self::new(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit - 1`; `limit` is positive.
    pub fn below(&mut self, limit: i64) -> i64 {
        (self.number() % limit.unsigned_abs()).cast_signed()
    }

    /// A place in something of this length, which is not empty.
    pub fn index(&mut self, length: usize) -> usize {
        (self.number() % length as u64) as usize
    }

    /// One of these, which are not empty.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// True in this many of 100 cases.
    pub fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }

    /// Bytes of any value.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.number() as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation's numbers for seed 1234567.
    #[test]
    fn the_numbers_are_splitmix64s() {
        let mut random = Random::new(1_234_567);
        let numbers = [(); 5].map(|()| random.number());
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }
}
