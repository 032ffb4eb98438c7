//! The bytes of a test, read as a sequence of choices. A fuzzer that changes a byte changes one choice.

/// The choices that are left.
#[derive(Debug)]
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// The choices that these bytes say.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether none is left. From then on the first of the possibilities is chosen.
    pub(crate) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    /// A number from 0 to 255.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `n`, which is at least 1.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let high = if n > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (high + usize::from(self.byte())) % n
    }

    /// One of these.
    pub(crate) fn one_of<T: Clone>(&mut self, possibilities: &[T]) -> T {
        possibilities[self.below(possibilities.len())].clone()
    }
}
