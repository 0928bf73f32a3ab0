//! Time zones: their names, and the instants at which local times occur.

mod abbreviations;
mod firing;
mod lookup;
mod time_zone;

pub(crate) use time_zone::Zone;
