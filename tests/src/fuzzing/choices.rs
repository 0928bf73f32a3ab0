//! Interprets bytes as a sequence of choices, so that a changed byte changes one event.

/// The remaining choices.
pub(super) struct Choices<'a>(std::slice::Iter<'a, u8>);

impl<'a> Choices<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    /// Whether there are no further choices. Then each choice is the first option.
    pub(super) fn is_over(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// Eight boolean choices.
    pub(super) fn bits(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    /// A boolean choice.
    pub(super) fn yes(&mut self) -> bool {
        self.bits() & 1 == 1
    }

    /// A random element.
    pub(super) fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[usize::from(self.bits()) % all.len()]
    }

    /// One of several options, where the smallest byte selects the last one. `None` without options.
    pub(super) fn latest<'t, T>(&mut self, all: &'t [T]) -> Option<&'t T> {
        let back = usize::from(self.bits()) % all.len().max(1);
        all.iter().rev().nth(back)
    }
}
