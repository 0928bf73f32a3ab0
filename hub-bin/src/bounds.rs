//! The bounds of numeric settings. A flag, its environment variable and its key in the configuration file have the same bounds.

use hub_core::job::Limits;

/// An inclusive range of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    minimum: u64,
    maximum: u64,
}

pub(crate) const SLOTS: Bounds = Bounds::between(1, 10_000);
/// In seconds. The AMQP field has 16 bits.
pub(crate) const HEARTBEAT: Bounds = Bounds::between(2, u16::MAX as u64);
pub(crate) const RETAIN_JOBS: Bounds = Bounds::at_least(0);
pub(crate) const MAX_JOB_BYTES: Bounds = Bounds::at_least(1);
pub(crate) const MAX_JOB_TASKS: Bounds = Bounds::at_least(1);
/// At least three, because a task is an object in a list in the object of the job.
pub(crate) const MAX_JOB_DEPTH: Bounds = Bounds::between(3, Limits::MAX_DEPTH as u64);
pub(crate) const MAX_VALUE_BYTES: Bounds = Bounds::between(1, Limits::MAX_VALUE_BYTES as u64);
pub(crate) const MAX_LIVE_BYTES: Bounds = Bounds::at_least(1);
/// Each is a row of the store and an entry in memory.
pub(crate) const MAX_KEPT_RESULTS: Bounds = Bounds::between(0, 10_000_000);
pub(crate) const MAX_KEPT_BYTES: Bounds = Bounds::at_least(0);
pub(crate) const MAX_RESULT_BYTES: Bounds = Bounds::at_least(1);
/// The maximum is the size of a log that the dispatcher keeps.
pub(crate) const MAX_LOG_BYTES: Bounds = Bounds::between(0, 1024 * 1024);
pub(crate) const MAX_MESSAGE_BYTES: Bounds = Bounds::at_least(1);
pub(crate) const LOG_MAX_SIZE: Bounds = Bounds::at_least(1);
pub(crate) const LOG_RETAIN: Bounds = Bounds::at_least(0);

impl Bounds {
    const fn at_least(minimum: u64) -> Self {
        Self::between(minimum, u64::MAX)
    }

    const fn between(minimum: u64, maximum: u64) -> Self {
        Self { minimum, maximum }
    }

    /// Parses a number within the bounds.
    ///
    /// # Errors
    /// If the text is not such a number. The message names the bounds.
    pub(crate) fn read<T: TryFrom<u64>>(self, text: &str) -> Result<T, String> {
        let number = text.parse::<u64>().ok().filter(|number| (self.minimum..=self.maximum).contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match self.maximum {
            u64::MAX => format!("must be an integer of at least {}", self.minimum),
            maximum => format!("must be an integer from {} to {maximum}", self.minimum),
        })
    }

    /// The parser of a flag.
    pub(crate) fn parser<T: TryFrom<u64> + 'static>(
        self,
    ) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
        move |text| self.read(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_the_bounds_are_refused_with_the_bounds() {
        assert_eq!(MAX_VALUE_BYTES.read("134217728"), Ok(134_217_728_u64));
        for text in ["0", "134217729", "-1", "1e3", "", "99999999999999999999999"] {
            let refused = MAX_VALUE_BYTES.read::<u64>(text);
            assert_eq!(refused, Err("must be an integer from 1 to 134217728".to_owned()), "{text}");
        }
        assert_eq!(LOG_RETAIN.read("0"), Ok(0_u64));
        assert_eq!(MAX_JOB_BYTES.read::<u64>("0"), Err("must be an integer of at least 1".to_owned()));
    }
}
