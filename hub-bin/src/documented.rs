//! Tests: the settings of the configuration file agree with docs/configuration.md, the flags and their environment variables.

use crate::config::SECTIONS;

/// A line of the tables in docs/configuration.md.
struct Documented {
    section: String,
    key: String,
    flag: String,
    variable: String,
    default: String,
}

fn documented() -> Vec<Documented> {
    let (mut found, mut section) = (Vec::new(), String::new());
    for line in include_str!("../../docs/configuration.md").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<String> = line.split(" |").map(|cell| cell.replace(['|', '`'], "").trim().to_owned()).collect();
        if let Some(name) = cells[0].strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let [key, flag, variable, default, ..] = &cells[..]
            && !section.is_empty()
        {
            let [key, flag, variable, default] = [key, flag, variable, default].map(String::clone);
            found.push(Documented { section: section.clone(), key, flag, variable, default });
        }
    }
    found
}

#[test]
fn the_page_documents_all_settings() {
    let mut documented: Vec<_> = documented().into_iter().map(|line| (line.section, line.key)).collect();
    let sections = SECTIONS.iter();
    let mut known: Vec<_> = sections
        .flat_map(|(section, keys)| keys.iter().map(move |key| ((*section).to_owned(), (*key).to_owned())))
        .collect();
    documented.sort();
    known.sort();
    assert_eq!(documented, known);
}

#[test]
fn flags_and_variables_have_the_documented_names_and_defaults() {
    let commands = [crate::dispatcher::command(), crate::worker::command()];
    let arguments: Vec<_> = commands.iter().flat_map(clap::Command::get_arguments).collect();
    for line in documented() {
        let of_key: Vec<_> = arguments.iter().filter(|argument| argument.get_id() == line.key.as_str()).collect();
        assert_eq!(of_key.is_empty(), line.flag.is_empty(), "{}", line.key);
        for argument in of_key {
            assert_eq!(argument.get_long().map(|flag| format!("--{flag}")), Some(line.flag.clone()));
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(&*line.variable));
            assert_eq!(line.variable, format!("HUB_{}", line.key.to_uppercase()));
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let Some((_, default)) = help.split_once("[default: ") else { continue };
            let value = default.split([',', '"', ']']).next().unwrap_or_default().trim_end();
            assert!(line.default.starts_with(value), "{}: {value} in the help, {} on the page", line.key, line.default);
        }
    }
}
