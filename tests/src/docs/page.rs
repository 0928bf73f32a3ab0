//! The steps of a page.

use crate::root;

/// Lines that begin so are not executed: they build Hub, concern Docker, or download something.
const LEFT_OUT: [&str; 5] = ["cargo build", "docker ", "export PATH=\"$PWD/target", "ci/", "venv/bin/pip"];
/// How a page runs a program that was not built before.
const CARGO_RUN: &str = "cargo run --release --bin ";

/// A page of the documentation, as far as it is executed.
#[derive(Debug)]
pub struct Page {
    /// Its path from the project's directory.
    pub path: String,
    /// What it has the reader do, in order.
    pub steps: Vec<Step>,
}

/// One thing that a page has the reader do.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Write a file.
    Write {
        /// Its path.
        path: String,
        /// Its content.
        text: String,
    },
    /// Run commands, and wait until they have ended.
    Run {
        /// The line of the page.
        line: usize,
        /// The commands.
        commands: String,
        /// What they print, as far as the page shows it.
        shown: Option<String>,
    },
    /// Start a program in another terminal.
    Start {
        /// The line of the page.
        line: usize,
        /// The command.
        command: String,
        /// What it prints until it is ready, as far as the page shows it.
        shown: Option<String>,
    },
    /// Interrupt what runs in other terminals.
    Interrupt,
}

impl Page {
    /// Reads a page of the project.
    ///
    /// # Panics
    /// Where there is none, or nothing on it is executed.
    #[must_use]
    pub fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let steps = steps(&text);
        assert!(steps.iter().any(|step| matches!(step, Step::Run { .. })), "{path} has no command");
        Self { path: path.to_owned(), steps }
    }

    /// The same page up to the heading that contains `heading`: what follows needs a broker.
    ///
    /// # Panics
    /// Where there is no such heading.
    #[must_use]
    pub fn read_until(path: &str, heading: &str) -> Self {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let is_heading = |line: &&str| line.starts_with("## ") && line.contains(heading);
        assert!(text.lines().any(|line| is_heading(&line)), "{path} has no heading {heading:?}");
        let part: Vec<&str> = text.lines().take_while(|line| !is_heading(line)).collect();
        Self { path: path.to_owned(), steps: steps(&part.join("\n")) }
    }
}

/// What a text has the reader do.
fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    // The paragraph before a block says what the block is.
    let mut paragraph = String::new();
    // Whether the block before was executed and nothing stands in between.
    let mut is_output = false;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            let text = block.iter().map(|line| format!("{line}\n")).collect::<String>();
            match steps.last_mut() {
                Some(Step::Run { shown, .. } | Step::Start { shown, .. }) if is_output && language == "text" => {
                    *shown = Some(text);
                    is_output = false;
                }
                _ => {
                    let step = step(number + 1, &paragraph, language, text);
                    is_output = matches!(step, Some(Step::Run { .. } | Step::Start { .. }));
                    steps.extend(step);
                }
            }
            paragraph.clear();
        } else if line.starts_with('#') {
            paragraph.clear();
            is_output = false;
        } else if !line.is_empty() {
            is_output = false;
            if line.starts_with("Press Ctrl-C") {
                steps.push(Step::Interrupt);
            }
            paragraph.push_str(line);
            paragraph.push(' ');
        } else if !is_announcement(&paragraph) {
            paragraph.clear();
        }
    }
    steps
}

/// Whether a paragraph is about the block that follows it.
fn is_announcement(paragraph: &str) -> bool {
    paragraph.trim_end().ends_with(':')
}

/// What a block has the reader do.
fn step(line: usize, paragraph: &str, language: &str, text: String) -> Option<Step> {
    if let Some(path) = file_name(paragraph) {
        return Some(Step::Write { path: path.to_owned(), text });
    }
    if language != "sh" {
        return None;
    }
    let commands: String = text.lines().filter_map(executed).collect();
    if commands.trim().is_empty() {
        return None;
    }
    let terminals = ["second terminal", "third terminal"];
    if is_announcement(paragraph) && terminals.iter().any(|terminal| paragraph.contains(terminal)) {
        return Some(Step::Start { line, command: commands.trim().to_owned(), shown: None });
    }
    Some(Step::Run { line, commands, shown: None })
}

/// The name in "File `x`:".
fn file_name(paragraph: &str) -> Option<&str> {
    let (_, rest) = paragraph.trim_end().strip_suffix("`:")?.rsplit_once("File `")?;
    Some(rest)
}

/// A line as it is executed.
fn executed(line: &str) -> Option<String> {
    if LEFT_OUT.iter().any(|start| line.starts_with(start)) {
        return None;
    }
    let line = match line.strip_prefix(CARGO_RUN) {
        Some(rest) => rest.replacen(" -- ", " ", 1),
        // Python's installer is a package of its own on some systems.
        None => line.replace("-m venv ", "-m venv --without-pip "),
    };
    Some(line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_in_steps() {
        let text = "# Title\n\nWords.\n\nFile `a/b.json`:\n\n```json\n{}\n```\n\n```sh\ncargo build --release\nrun it\n```\n\n\
                    ```text\nran\n```\n\nIn a second terminal:\n\n```sh\nserve\n```\n\nWords.\n\n```text\nno output\n```\n\n\
                    Press Ctrl-C there.\n\n```sh\ncargo run --release --bin hub-client -- run x\n```\n";
        let run = |line, commands: &str, shown: Option<&str>| Step::Run {
            line,
            commands: commands.to_owned(),
            shown: shown.map(str::to_owned),
        };
        let expected = [
            Step::Write { path: "a/b.json".to_owned(), text: "{}\n".to_owned() },
            run(11, "run it\n", Some("ran\n")),
            Step::Start { line: 22, command: "serve".to_owned(), shown: None },
            Step::Interrupt,
            run(34, "hub-client run x\n", None),
        ];
        assert_eq!(steps(text), expected);
    }
}
