//! Bytes as a row of choices: so a fuzzer that changes a byte changes one thing that happens.

/// The choices that are left.
pub(super) struct Choices<'a>(std::slice::Iter<'a, u8>);

impl<'a> Choices<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    /// Whether there are none any more. From then on each choice is the first.
    pub(super) fn is_over(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// Eight choices between no and yes.
    pub(super) fn bits(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    /// A choice between no and yes.
    pub(super) fn yes(&mut self) -> bool {
        self.bits() & 1 == 1
    }

    /// One of several.
    pub(super) fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[usize::from(self.bits()) % all.len()]
    }

    /// One of several, the last being chosen by the smallest byte; `None` where there is none.
    pub(super) fn latest<'t, T>(&mut self, all: &'t [T]) -> Option<&'t T> {
        let back = usize::from(self.bits()) % all.len().max(1);
        all.iter().rev().nth(back)
    }
}
