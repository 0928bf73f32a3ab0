//! Reads the user's input from files and standard input.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use hub_core::job::encoding_advice;

use super::output::Output;
use super::problems::{STDIN, name_of};
use crate::exit::{Exit, Failure};

/// Reads a text. `what` names it in messages.
pub(super) fn read_text(path: &Path, what: &str, output: &Output) -> Result<String, Failure> {
    String::from_utf8(read(path, what, output)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("{} is not UTF-8 text: invalid byte at offset {at}", name_of(path));
        Failure::new(Exit::Usage, message).advise(encoding_advice(error.as_bytes()))
    })
}

/// Reads bytes. `what` names them in messages.
pub(super) fn read(path: &Path, what: &str, output: &Output) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let outcome = if path == Path::new(STDIN) {
        if io::stdin().is_terminal() {
            output.say(&format!("reading {what} from the terminal; end it with Ctrl-D"));
        }
        io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    outcome.map(|()| bytes).map_err(|error| {
        let failure = Failure::new(Exit::Usage, format!("cannot read {what} from {}", name_of(path)));
        match advice(path, &error) {
            Some(advice) => failure.because(error).advise(advice),
            None => failure.because(error),
        }
    })
}

fn advice(path: &Path, error: &io::Error) -> Option<String> {
    let text = path.to_string_lossy();
    if text.trim_start().starts_with(['{', '[']) {
        return Some(
            "this is JSON, not a file name: write the JSON to standard input and give - as the file name".to_owned(),
        );
    }
    match error.kind() {
        io::ErrorKind::NotFound if path.extension().is_none() && path.with_extension("json").exists() => {
            Some(format!("did you mean {}?", path.with_extension("json").display()))
        }
        io::ErrorKind::IsADirectory => Some("this is a directory: give a job file".to_owned()),
        _ => None,
    }
}
