//! The Python SDK as a package: pip installs it into a virtual environment without a network, and the page about it is executed
//! there.

use std::path::Path;

use hub_tests::docs::{Page, Step, Terminal};
use hub_tests::python::{run_python, virtual_environment};
use hub_tests::{Programs, root};

/// Creates an environment with the package. Returns its interpreter.
fn install(directory: &Path) -> String {
    let own = virtual_environment(directory);
    let package = root().join("hub-engine/python").to_string_lossy().into_owned();
    let (succeeded, output) = run_python(directory, &own, &["-m", "pip", "install", "--no-index", &package], &[]);
    assert!(succeeded, "{output}");
    own
}

/// A module with errors of types in the lines 4, 6, 7 and 8.
const WRONG: &str = "from hub.lib.api import Retry, task
@task
async def double(number: int) -> int:
    return 2 * number + double.state.attempts
async def main() -> None:
    print(await double('2'))
    text: str = await double(2)
    raise Retry(text, after='1 s')
";

#[test]
fn the_page_works_with_the_installed_package() {
    // mypy prints colours if the terminal has them.
    let programs = Programs::alone().with("TERM", "dumb");
    let python = install(programs.directory());
    std::fs::write(programs.directory().join("wrong.py"), WRONG).unwrap();
    let (_, output) = run_python(programs.directory(), &python, &["-m", "mypy", "--strict", "wrong.py"], &[]);
    for line in [4, 6, 7, 8] {
        assert!(output.contains(&format!("wrong.py:{line}: error: ")), "{output}");
    }
    let mut page = Page::read("docs/sdk.md");
    // It exists.
    page.steps.retain(|step| !matches!(step, Step::Run { commands, .. } if commands.contains("-m venv")));
    Terminal::new(programs, None).follow(&page);
}

#[test]
fn the_package_has_the_version_of_hub() {
    let project = std::fs::read_to_string(root().join("hub-engine/python/pyproject.toml")).unwrap();
    assert!(project.contains(concat!("\nversion = \"", env!("CARGO_PKG_VERSION"), "\"\n")), "{project}");
}
