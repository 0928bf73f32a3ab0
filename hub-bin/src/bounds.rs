//! The bounds of the numbers in the configuration: the same for a flag, its environment variable and its key in the file.

use hub_core::job::Limits;

/// A range of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    least: u64,
    most: u64,
}

pub(crate) const SLOTS: Bounds = Bounds::between(1, 10_000);
/// Seconds; AMQP has 16 bits for them.
pub(crate) const HEARTBEAT: Bounds = Bounds::between(2, u16::MAX as u64);
pub(crate) const RETAIN_JOBS: Bounds = Bounds::at_least(0);
pub(crate) const MAX_JOB_BYTES: Bounds = Bounds::at_least(1);
pub(crate) const MAX_JOB_TASKS: Bounds = Bounds::at_least(1);
/// The job, the list of its tasks and a task are nested already.
pub(crate) const MAX_JOB_DEPTH: Bounds = Bounds::between(3, Limits::MAX_DEPTH as u64);
pub(crate) const MAX_VALUE_BYTES: Bounds = Bounds::between(1, Limits::MAX_VALUE_BYTES as u64);
pub(crate) const MAX_LIVE_BYTES: Bounds = Bounds::at_least(1);
pub(crate) const MAX_RESULT_BYTES: Bounds = Bounds::at_least(1);
/// The dispatcher keeps no more of a log.
pub(crate) const MAX_LOG_BYTES: Bounds = Bounds::between(0, 1024 * 1024);
pub(crate) const MAX_MESSAGE_BYTES: Bounds = Bounds::at_least(1);
pub(crate) const LOG_MAX_SIZE: Bounds = Bounds::at_least(1);
pub(crate) const LOG_RETAIN: Bounds = Bounds::at_least(0);

impl Bounds {
    const fn at_least(least: u64) -> Self {
        Self::between(least, u64::MAX)
    }

    const fn between(least: u64, most: u64) -> Self {
        Self { least, most }
    }

    /// Reads a number within the bounds.
    ///
    /// # Errors
    /// With the bounds, where it is none.
    pub(crate) fn read<T: TryFrom<u64>>(self, text: &str) -> Result<T, String> {
        let number = text.parse::<u64>().ok().filter(|number| (self.least..=self.most).contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match self.most {
            u64::MAX => format!("must be a whole number, at least {}", self.least),
            most => format!("must be a whole number from {} to {most}", self.least),
        })
    }

    /// The same for a flag.
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
    fn numbers_beyond_the_bounds_are_refused_with_the_bounds() {
        assert_eq!(MAX_VALUE_BYTES.read("134217728"), Ok(134_217_728_u64));
        for text in ["0", "134217729", "-1", "1e3", "", "99999999999999999999999"] {
            let refused = MAX_VALUE_BYTES.read::<u64>(text);
            assert_eq!(refused, Err("must be a whole number from 1 to 134217728".to_owned()), "{text}");
        }
        assert_eq!(LOG_RETAIN.read("0"), Ok(0_u64));
        assert_eq!(MAX_JOB_BYTES.read::<u64>("0"), Err("must be a whole number, at least 1".to_owned()));
    }
}
