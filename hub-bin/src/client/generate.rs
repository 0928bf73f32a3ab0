//! Generates completion scripts and manual pages of Hub's programs, and the schema of the job format.

use std::path::Path;

use clap::ValueEnum;
use clap_complete::Shell;

use super::output::Output;
use super::program::Program;
use super::{interfaces, pages};
use crate::exit::{Exit, Failure};

/// Prints the JSON Schema of the job format.
pub(super) fn schema(output: &Output) -> Result<Exit, Failure> {
    output.print(&format!("{:#}", hub_core::job::schema()))?;
    Ok(Exit::Success)
}

/// Prints the completion script of a program.
pub(super) fn completions(shell: Shell, program: Program, output: &Output) -> Result<Exit, Failure> {
    let mut command = interfaces::of(program);
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    output.print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Success)
}

/// Writes the manual pages of all programs and their commands to a directory, or prints the page of `hub-client`.
pub(super) fn man(directory: Option<&Path>, output: &Output) -> Result<Exit, Failure> {
    let Some(directory) = directory else {
        let page = pages::of_program(Program::HubClient).map_err(Failure::output)?;
        output.print(String::from_utf8_lossy(&page).trim_end())?;
        return Ok(Exit::Success);
    };
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Output, format!("cannot write manual pages to {}", directory.display())).because(error)
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    for program in Program::value_variants() {
        for (name, page) in pages::all(*program).map_err(failed)? {
            std::fs::write(directory.join(name), page).map_err(failed)?;
        }
    }
    output.say(&format!("wrote the manual pages of all programs to {}", directory.display()));
    Ok(Exit::Success)
}
