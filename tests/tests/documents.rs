//! Checks the documentation against the code: flags, links, paths and jobs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use hub_core::job::{Job, Limits};
use hub_tests::{Programs, root};

const PROGRAMS: [&str; 5] = ["hub-client", "hub-dispatcher", "hub-worker", "ctrl-hub-dispatcher", "ctrl-hub-worker"];
/// Flags of other programs in the documentation.
const OTHERS: [&str; 14] = [
    "--workspace",
    "--all-features",
    "--release",
    "--profile",
    "--features",
    "--bin",
    "--test",
    "--network",
    "--data-binary",
    "--header",
    "--request",
    "--concurrency",
    "--nocapture",
    "--strict",
];
/// The locations of the documents.
const FOLDERS: [&str; 3] = ["", "docs", "docs/how-to"];

/// All documents, with their paths relative to the project's directory.
fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in FOLDERS {
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

/// The contents of code blocks in this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    text.split(&*opening).skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default()).collect()
}

#[test]
fn every_flag_exists() {
    let programs = Programs::alone();
    let mut helps = String::new();
    let commands = [
        "run",
        "submit",
        "status",
        "list",
        "watch",
        "cancel",
        "remove",
        "result",
        "signal",
        "approve",
        "reject",
        "retry",
        "skip",
        "fail",
        "validate",
        "schema",
        "completions",
    ];
    for program in PROGRAMS {
        helps += &String::from_utf8(programs.run(program, &["--help"]).stdout).unwrap();
    }
    for command in commands {
        helps += &String::from_utf8(programs.run("hub-client", &[command, "--help"]).stdout).unwrap();
    }
    for command in ["apply", "list", "show", "document", "diff", "start", "alias"] {
        helps += &String::from_utf8(programs.run("hub-client", &["definitions", command, "--help"]).stdout).unwrap();
    }
    let mut bench = Command::new(env!("CARGO_BIN_EXE_hub-bench"));
    helps += &String::from_utf8(bench.arg("--help").output().unwrap().stdout).unwrap();
    let mut known = flags(&helps);
    assert!(known.contains("--tasks-dir") && known.contains("--amqp-client"), "{known:?}");
    // Hidden flags of the manual.
    known.insert("--trace");
    known.extend(OTHERS);
    for (path, text) in documents() {
        let unknown: Vec<&str> = flags(&text).difference(&known).copied().collect();
        assert!(unknown.is_empty(), "{} speaks of flags that no program has: {unknown:?}", path.display());
    }
}

/// The anchors of a document, generated from its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut in_block = false;
    let headings = text.lines().filter(|line| {
        in_block ^= line.starts_with("```");
        !in_block && line.starts_with('#')
    });
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_target_exists() {
    let mut broken = Vec::new();
    for (path, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = path.parent().unwrap_or(Path::new(""));
            let led_to = if file.is_empty() { root().join(&path) } else { root().join(folder).join(file) };
            let is_there = match std::fs::read_to_string(&led_to) {
                Ok(text) => anchor.is_empty() || anchors(&text).contains(anchor),
                Err(_) => anchor.is_empty() && led_to.exists(),
            };
            if !is_there {
                broken.push(format!("{}: nothing at {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The end of each page links to another page.
#[test]
fn every_page_links_to_the_next_one() {
    for (path, text) in documents() {
        let is_page = path.starts_with("docs") && path != Path::new("docs/README.md");
        let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
        assert!(!is_page || last.contains("]("), "{} ends without a link to the next useful page", path.display());
    }
}

#[test]
fn the_index_has_every_page() {
    let index = std::fs::read_to_string(root().join("docs/README.md")).unwrap();
    for (path, _) in documents() {
        let Ok(page) = path.strip_prefix("docs") else { continue };
        let is_listed = page == Path::new("README.md") || index.contains(&format!("]({})", page.display()));
        assert!(is_listed, "docs/README.md does not have {}", page.display());
    }
}

#[test]
fn every_path_of_the_source_tree_exists() {
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        // Code blocks contain commands, not paths.
        let prose: String = text.split("\n```").step_by(2).collect();
        for quoted in prose.split('`').skip(1).step_by(2) {
            let is_path =
                quoted.contains('/') && !quoted.contains(' ') && !quoted.contains("://") && !quoted.contains('<');
            assert!(!is_path || root().join(quoted).exists(), "{document}: nothing at {quoted}");
        }
    }
}

#[test]
fn every_job_is_valid() {
    let mut jobs = 0;
    for (path, text) in documents() {
        for block in
            blocks(&text, "json").into_iter().filter(|block| block.contains("\"tasks\":") && !block.contains('…'))
        {
            // Skip status records and the example of an invalid job.
            if block.contains("\"parent_id\"") || block.contains("\"name\": \"wrong\"") {
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
