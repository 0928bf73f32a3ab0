//! The objects of the format.

use super::job::JOB;
use super::retry::RETRY;
use super::task::TASK;
use crate::job::outline::Outline;

/// Every object of the format, that of the whole text first.
pub(in crate::job) static OBJECTS: [&dyn Outline; 3] = [&JOB, &TASK, &RETRY];
