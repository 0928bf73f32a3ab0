//! The house rules that are checked by code. A failure names the rule, the place and the correction.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hub_tests::root;
use hub_tests::tidy::{Files, circles, logic_in_indexes};

/// Maximum number of lines of a file.
const MAX_LINES: usize = 500;
/// The only file of the tests that may sleep. It checks a condition between two sleeps.
const MAY_SLEEP: [&str; 1] = ["tests/src/wait.rs"];
/// Generated files and folders.
const GENERATED: [&str; 8] = [
    "target",
    ".git",
    "var",
    "Cargo.lock",
    "tests/fuzz/target",
    "tests/fuzz/artifacts",
    "tests/fuzz/coverage",
    "tests/fuzz/Cargo.lock",
];

/// Phrases that the documentation must not use, since there are plainer ones.
const PHRASES: [&str; 6] = ["nobody", "whoever", "so many", "a word to", "of its own accord", "what it is that"];

/// Indexes whose code is to be moved.
const KNOWN_INDEXES_WITH_LOGIC: &[&str] = &[
    "hub-engine/core/src/machine/mod.rs",
    "hub-engine/src/dispatcher/driver/mod.rs",
    "hub-engine/src/dispatcher/mod.rs",
    "hub-engine/src/store/mod.rs",
];

/// A text file of the project.
struct Source {
    /// The path relative to the project's directory.
    path: String,
    text: String,
}

impl Source {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }

    fn is_below(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// Whether it is this file, which contains the forbidden words.
    fn is_this(&self) -> bool {
        self.path.ends_with("tests/tidy.rs")
    }

    /// The lines of tests: all lines of a test file, and the lines after `#[cfg(test)]` in other files.
    fn test_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let all = self.path.contains("tests/");
        let mut marked = all;
        self.text.lines().enumerate().filter(move |(_, line)| {
            marked |= line.trim() == "#[cfg(test)]";
            marked
        })
    }
}

/// The violations of a rule.
#[derive(Default)]
struct Findings(String);

impl Findings {
    fn add(&mut self, path: &str, line: usize, what: &str) {
        let _ = writeln!(self.0, "  {path}:{}: {what}", line + 1);
    }

    /// Adds all lines that contain one of the `words`.
    fn add_words(&mut self, source: &Source, words: &[&str]) {
        for (number, line) in source.text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                self.add(&source.path, number, word);
            }
        }
    }

    #[track_caller]
    fn none(self, rule: &str) {
        assert!(self.0.is_empty(), "{rule}\n{}", self.0);
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if GENERATED.iter().any(|name| path == Path::new(name)) || path.ends_with("__pycache__") {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(root().join(&path)) {
                found.push(Source { path: path.to_string_lossy().into_owned(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 100, "found only {} files of the project", found.len());
    found
}

fn rust() -> impl Iterator<Item = Source> {
    sources().into_iter().filter(|source| source.is("rs"))
}

#[test]
fn every_file_has_a_module_comment() {
    let mut findings = Findings::default();
    for source in sources() {
        let says = match () {
            () if source.is("rs") => source.text.starts_with("//! "),
            () if source.is_below("ci/") => source.text.starts_with("#!/usr/bin/env bash\n# "),
            () if source.is_below("hub-engine/python/") && (source.is("py") || source.is("pyi")) => {
                source.text.starts_with("\"\"\"")
            }
            () => true,
        };
        if !says {
            findings.add(&source.path, 0, "no module comment");
        }
    }
    findings.none("a file must begin with a description of its contents: //! in Rust, a docstring in Python, a comment in a script");
}

#[test]
fn no_file_contains_leftovers() {
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| !source.is_this()) {
        if ["rs", "py", "sh", "pl"].iter().any(|extension| source.is(extension)) || source.is_below("ci/") {
            findings.add_words(source, &["todo!", "unimplemented!", "dbg!", "TODO", "FIXME", "XXX", "HACK"]);
        }
    }
    findings.none("finish it, or open an issue instead of leaving a mark in the code");
}

#[test]
fn a_file_has_one_subject() {
    let mut findings = Findings::default();
    for source in rust() {
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            findings.add(&source.path, lines - 1, &format!("{lines} lines"));
        }
    }
    findings.none("the file is too long: move its second subject to another file");
}

#[test]
fn tests_wait_for_conditions() {
    let mut findings = Findings::default();
    for source in rust().filter(|source| !source.is_this() && !MAY_SLEEP.contains(&source.path.as_str())) {
        // With a paused clock, sleeping takes no time.
        if source.text.contains("start_paused = true") {
            continue;
        }
        for (number, line) in source.test_lines() {
            if line.contains("thread::sleep") || line.contains("time::sleep(") {
                findings.add(&source.path, number, line.trim());
            }
        }
    }
    findings.none("a test must not sleep, which makes it slow or unreliable: wait for a condition");
}

#[test]
fn no_file_contains_paths_of_a_machine() {
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| !source.is_this()) {
        findings.add_words(source, &["/work/", "/root/", "/home/"]);
    }
    findings.none("use paths relative to the project's directory, or paths from the user");
}

#[test]
fn quotes_in_code_are_ascii() {
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| !source.is_this() && !source.is("md")) {
        findings.add_words(source, &["\u{2018}", "\u{2019}", "\u{201c}", "\u{201d}"]);
    }
    findings.none("write ' and \"");
}

#[test]
fn the_documentation_is_plain_english() {
    let is_page = |source: &Source| source.is("md") && (source.is_below("docs/") || !source.path.contains('/'));
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| is_page(source)) {
        // A phrase may continue on the next line.
        let text = source.text.replace('\n', " ").to_ascii_lowercase();
        for phrase in PHRASES {
            for (at, _) in text.match_indices(phrase) {
                findings.add(&source.path, source.text[..at].matches('\n').count(), phrase);
            }
        }
    }
    findings.none("use plain, conventional English");
}

#[test]
fn the_core_is_pure() {
    let mut findings = Findings::default();
    let world = [
        "Instant::now",
        "SystemTime::now",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "new_v4",
        "now_v7",
    ];
    for source in
        rust().filter(|source| source.is_below("hub-engine/core/src/") || source.is_below("hub-engine/calendar/src/"))
    {
        findings.add_words(&source, &world);
    }
    findings.none("hub-core and hub-calendar must be pure: time, randomness and files are passed in by the caller");
}

#[test]
fn scripts_stop_at_the_first_error() {
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| source.is_below("ci/")) {
        if !source.text.contains("set -euo pipefail") {
            findings.add(&source.path, 0, "set -euo pipefail");
        }
    }
    findings.none("a script must stop at the first error: add set -euo pipefail");
}

#[test]
fn every_crate_uses_the_lints_of_the_workspace() {
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| source.path.ends_with("/Cargo.toml")) {
        if !source.text.contains("[lints]\nworkspace = true") {
            findings.add(&source.path, 0, "[lints] workspace = true");
        }
    }
    findings.none("every crate must use the lints of the workspace");
    let lints = |path: &str| {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        let from = text.find("[workspace.lints.rust]").unwrap();
        text[from..].split("\n[profile").next().unwrap().to_owned()
    };
    assert_eq!(lints("tests/fuzz/Cargo.toml"), lints("Cargo.toml"), "both workspaces have the same lints");
}

fn rust_files() -> Files {
    rust().map(|source| (source.path, source.text)).collect()
}

#[test]
fn files_do_not_depend_on_each_other() {
    let found = circles(&rust_files());
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "cyclic imports: move shared code to a third file\n{}", found.join("\n"));
}

#[test]
fn an_index_has_no_logic() {
    let mut findings = Findings::default();
    let found = logic_in_indexes(&rust_files());
    for (path, line, what) in found.iter().filter(|(path, ..)| !KNOWN_INDEXES_WITH_LOGIC.contains(&path.as_str())) {
        findings.add(path, line - 1, what);
    }
    findings
        .none("mod.rs and lib.rs may only declare and re-export: move code to a file that is named after its subject");
    for known in KNOWN_INDEXES_WITH_LOGIC {
        let is_there = found.iter().any(|(path, ..)| path == known);
        assert!(is_there, "{known} has no logic: remove it from KNOWN_INDEXES_WITH_LOGIC");
    }
}
