//! The objects of the format.

use super::job::JOB;
use super::task::TASK;
use crate::job::outline::Outline;

/// Every object of the format, that of the whole text first.
pub(in crate::job) static OBJECTS: [&dyn Outline; 2] = [&JOB, &TASK];
