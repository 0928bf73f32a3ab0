//! Measures the broker without Hub. A lapin client sends small persistent messages to a quorum queue, and a second connection
//! answers each of them on another queue. Two messages with confirms and acknowledgements are the minimum cost of a task, so
//! Hub's results are reported as a ratio to this bound.

mod connection;
mod desk;
mod echo;
mod load;
mod measure;
mod round_trip;

pub(super) use connection::delete_queues;
pub(super) use measure::{Bound, echoes_per_second, round_trip};
