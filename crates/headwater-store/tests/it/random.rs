//! Reproducible random numbers, keys and values for tests.

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Keys that collide often, share long prefixes, contain zeros and differ only in length.
    pub(crate) fn key(&mut self) -> Vec<u8> {
        let mut key = match self.below(4) {
            0 => Vec::new(),
            1 => vec![0; self.below(20) as usize],
            2 => b"a prefix of sixteen and more: ".to_vec(),
            _ => vec![self.below(3) as u8 * 127; self.below(18) as usize],
        };
        let tail = 1 + self.below(2);
        key.extend((0..tail).map(|_| self.below(8) as u8 * 36));
        key
    }

    pub(crate) fn value(&mut self) -> Vec<u8> {
        let length = match self.below(40) {
            0 => 5_000 + self.below(9_000),
            1..10 => 0,
            _ => self.below(200),
        };
        let byte = self.next() as u8;
        vec![byte; length as usize]
    }
}
