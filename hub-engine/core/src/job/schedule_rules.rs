//! What schedules do while a job has not ended, and with missed times.

use std::str::FromStr;

/// Maximum number of failed jobs in a row after which a schedule pauses.
pub const MAXIMUM_FAILURES: u32 = 1_000_000;

/// What happens at a time at which a job of the schedule has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// No job starts for this time.
    #[default]
    Skip,
    /// One job waits until the others have ended. Further times are skipped meanwhile.
    BufferOne,
    /// A job waits for each time, and they start one after the other.
    BufferAll,
    /// The others are cancelled, and the job starts when they have ended.
    CancelOther,
    /// The job starts beside the others.
    AllowAll,
}

/// What happens with times at which no dispatcher ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// A job starts for the last of them.
    #[default]
    Last,
    /// A job starts for each of them.
    All,
    /// None starts.
    None,
}

impl Overlap {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Skip, Self::BufferOne, Self::BufferAll, Self::CancelOther, Self::AllowAll];

    /// The word in schedules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::BufferOne => "buffer_one",
            Self::BufferAll => "buffer_all",
            Self::CancelOther => "cancel_other",
            Self::AllowAll => "allow_all",
        }
    }
}

impl CatchUp {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Last, Self::All, Self::None];

    /// The word in schedules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

impl FromStr for Overlap {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|known| known.as_str() == word).ok_or(())
    }
}

impl FromStr for CatchUp {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|known| known.as_str() == word).ok_or(())
    }
}
