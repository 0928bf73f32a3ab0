//! `hub-client`: submits, watches and cancels jobs, and runs jobs without a broker.

mod argument_values;
mod arguments;
mod commands;
mod connect;
mod durations;
mod explanation;
mod follow;
mod followed;
mod format;
mod generate;
mod help;
mod help_texts;
mod identity;
mod input;
mod interfaces;
mod main;
mod manual;
mod output;
mod pages;
mod problems;
mod program;
mod progress;
mod record;
mod run;
mod style;
mod validate;
mod views;
mod watch;

pub use main::main;
