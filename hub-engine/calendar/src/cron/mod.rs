//! Cron expressions: reading them, and the local times that they match.

mod days;
mod dialect;
mod expression;
mod field;
mod item;
mod kind;
mod notes;
mod parse;
mod problem;
mod times;

pub(crate) use expression::Cron;
