//! The objects of the format.

use super::approval::APPROVAL;
use super::cache::CACHE;
use super::for_each::FOR_EACH;
use super::http::HTTP;
use super::job::JOB;
use super::recover::RECOVER;
use super::retry::RETRY;
use super::schedule::SCHEDULE;
use super::start::START;
use super::task::TASK;
use super::timeout::TIMEOUT;
use super::wait::WAIT;
use crate::job::outline::Outline;

/// All objects of the format. The first one is the outermost object.
pub(in crate::job) static OBJECTS: [&dyn Outline; 12] =
    [&JOB, &TASK, &RETRY, &TIMEOUT, &FOR_EACH, &HTTP, &RECOVER, &WAIT, &APPROVAL, &CACHE, &START, &SCHEDULE];
