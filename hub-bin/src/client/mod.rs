//! `hub-client`: submits, watches and cancels jobs, and runs jobs without a broker.

mod argument_values;
mod arguments;
mod commands;
mod connect;
mod definition_args;
mod definitions;
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
mod job_file;
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
mod view_args;
mod views;
mod watch;
mod yaml;

pub use main::main;
