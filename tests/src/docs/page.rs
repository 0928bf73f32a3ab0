//! The steps of a page.

use crate::root;

/// Prefixes of lines that are not executed: they build Hub, use Docker, or download something.
const LEFT_OUT: [&str; 5] = ["cargo build", "docker ", "export PATH=\"$PWD/target", "ci/", "venv/bin/pip"];
/// The command that pages use to run a program from the sources.
const CARGO_RUN: &str = "cargo run --release --bin ";

/// The executable steps of a page of the documentation.
#[derive(Debug)]
pub struct Page {
    /// Its path relative to the project's directory.
    pub path: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One step of a page.
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
        /// The output that the page shows.
        shown: Option<String>,
    },
    /// Start a program in another terminal.
    Start {
        /// The line of the page.
        line: usize,
        /// The command.
        command: String,
        /// The output that the page shows until the program is ready.
        shown: Option<String>,
    },
    /// Interrupt the programs in other terminals.
    Interrupt,
}

impl Page {
    /// Reads a page of the project.
    ///
    /// # Panics
    /// If the page does not exist or has no steps.
    #[must_use]
    pub fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let steps = steps(&text);
        assert!(steps.iter().any(|step| matches!(step, Step::Run { .. })), "{path} has no command");
        Self { path: path.to_owned(), steps }
    }

    /// The page up to the heading that contains `heading`.
    ///
    /// # Panics
    /// If there is no such heading.
    #[must_use]
    pub fn read_until(path: &str, heading: &str) -> Self {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let is_heading = |line: &&str| line.starts_with("## ") && line.contains(heading);
        assert!(text.lines().any(|line| is_heading(&line)), "{path} has no heading {heading:?}");
        let part: Vec<&str> = text.lines().take_while(|line| !is_heading(line)).collect();
        Self { path: path.to_owned(), steps: steps(&part.join("\n")) }
    }
}

/// The steps of a text.
fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    // The paragraph before a block describes the block.
    let mut paragraph = String::new();
    // Whether the previous block was executed and there is no text in between.
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

/// The step of a block.
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

/// The line to execute.
fn executed(line: &str) -> Option<String> {
    if LEFT_OUT.iter().any(|start| line.starts_with(start)) {
        return None;
    }
    let line = match line.strip_prefix(CARGO_RUN) {
        Some(rest) => rest.replacen(" -- ", " ", 1),
        // On some systems, pip is a separate package.
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
