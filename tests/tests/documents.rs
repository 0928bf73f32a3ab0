//! What the documents say is true of the code: flags exist, links lead somewhere, jobs are valid.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use hub_core::job::{Job, Limits};
use hub_tests::{Programs, root};

const PROGRAMS: [&str; 5] = ["hub-client", "hub-dispatcher", "hub-worker", "ctrl-hub-dispatcher", "ctrl-hub-worker"];
/// Flags of other programs that the documents use.
const OTHERS: [&str; 7] = ["--release", "--bin", "--test", "--network", "--data-binary", "--header", "--request"];

/// Every document, with its path from the project's directory.
fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["", "docs"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(root().join(&path)).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.iter().any(|(path, _)| path == Path::new("README.md")));
    found
}

/// Everything in `text` that looks like a long flag.
fn flags(text: &str) -> BTreeSet<&str> {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    let words = text.split(|letter: char| !is_part(letter) && !letter.is_ascii_uppercase() && letter != '_');
    words
        .filter(|word| {
            word.starts_with("--") && word.len() > 3 && !word[2..].starts_with('-') && word.chars().all(is_part)
        })
        .collect()
}

/// The text between the backquoted lines of blocks in this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    text.split(&*opening).skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default()).collect()
}

#[test]
fn every_flag_exists() {
    let programs = Programs::alone();
    let mut helps = String::new();
    let commands =
        ["run", "submit", "status", "list", "watch", "cancel", "remove", "result", "validate", "completions"];
    for program in PROGRAMS {
        helps += &String::from_utf8(programs.run(program, &["--help"]).stdout).unwrap();
    }
    for command in commands {
        helps += &String::from_utf8(programs.run("hub-client", &[command, "--help"]).stdout).unwrap();
    }
    let mut bench = Command::new(env!("CARGO_BIN_EXE_hub-bench"));
    helps += &String::from_utf8(bench.arg("--help").output().unwrap().stdout).unwrap();
    let mut known = flags(&helps);
    assert!(known.contains("--tasks-dir") && known.contains("--amqp-client"), "{known:?}");
    // The manual's, which the help does not show.
    known.insert("--trace");
    known.extend(OTHERS);
    for (path, text) in documents() {
        let unknown: Vec<&str> = flags(&text).difference(&known).copied().collect();
        assert!(unknown.is_empty(), "{} speaks of flags that no program has: {unknown:?}", path.display());
    }
}

#[test]
fn every_link_leads_somewhere() {
    for (path, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if target.contains("://") || file.is_empty() {
                continue;
            }
            let folder = path.parent().unwrap_or(Path::new(""));
            assert!(root().join(folder).join(file).exists(), "{}: nothing at {target}", path.display());
        }
    }
}

#[test]
fn every_path_of_the_architecture_exists() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for quoted in text.split('`').skip(1).step_by(2) {
        let is_path = quoted.contains('/') && !quoted.contains(' ') && !quoted.contains("://") && !quoted.contains('<');
        assert!(!is_path || root().join(quoted).exists(), "ARCHITECTURE.md: nothing at {quoted}");
    }
}

#[test]
fn every_job_is_valid() {
    let mut jobs = 0;
    for (path, text) in documents() {
        for block in
            blocks(&text, "json").into_iter().filter(|block| block.contains("\"tasks\":") && !block.contains('…'))
        {
            // A status record has tasks too.
            if block.contains("\"parent_id\"") {
                continue;
            }
            if let Err(problems) = Job::parse(block, &Limits::default()) {
                panic!("a job in {} is not valid:\n{problems}\n{block}", path.display());
            }
            jobs += 1;
        }
    }
    assert!(jobs > 0);
}
