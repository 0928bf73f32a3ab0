//! What the broker alone can do: a client of lapin sends small persistent messages to one quorum queue, and a second
//! connection answers each on another. Two messages with confirms and acknowledgements is what a task costs at least,
//! so what Hub does is told as a ratio to this.

mod connection;
mod desk;
mod echo;
mod load;
mod measure;
mod round_trip;

pub(super) use connection::delete_queues;
pub(super) use measure::{Bound, echoes_per_second, round_trip};
