//! Readers who follow the documentation to the letter: every command of the pages named here is executed, and prints what the
//! page shows; every message that the page on troubleshooting quotes is printed. See [`hub_tests::docs`] for how a page is read.

use std::path::Path;
use std::process::{Command, ExitCode};

use hub_tests::docs::{Page, Terminal, messages};
use hub_tests::{Broker, BrokerTrial, Programs, root, trials_beside};
use libtest_mimic::Trial;

/// The pages without a broker, each with the heading of its first section that needs one.
const PAGES: [(&str, Option<&str>); 11] = [
    ("README.md", Some("On a broker")),
    ("docs/jobs.md", None),
    ("docs/commands.md", None),
    ("docs/tutorial.md", Some("On RabbitMQ")),
    ("docs/waiting.md", None),
    ("docs/how-to/approval.md", None),
    ("docs/how-to/from-airflow.md", None),
    ("docs/how-to/from-celery.md", None),
    ("docs/how-to/nightly-etl.md", None),
    ("docs/how-to/parameter-sweep.md", None),
    ("docs/how-to/when-things-fail.md", None),
];
/// The pages that need a broker, with the AMQP client to use.
const PAGES_ON_A_BROKER: [(&str, &str); 2] = [("README.md", "lapin"), ("docs/tutorial.md", "amqprs")];

fn main() -> ExitCode {
    let pages = PAGES.into_iter().map(|(path, until)| {
        Trial::test(path, move || {
            let page = until.map_or_else(|| Page::read(path), |heading| Page::read_until(path, heading));
            Terminal::new(programs_in_the_tree(Programs::alone()), None).follow(&page);
            Ok(())
        })
    });
    let messages_trial = Trial::test("messages_of_the_troubleshooting_page", || {
        messages::check_without_a_broker();
        Ok(())
    });
    let pages_on_a_broker = PAGES_ON_A_BROKER.into_iter().map(|(path, client)| {
        BrokerTrial::new(format!("{path}_on_a_broker"), move |broker: &Broker| {
            let address = broker.address();
            let prefix = path.replace(['/', '.'], "-");
            let programs = programs_in_the_tree(Programs::new(&address, client, &prefix));
            Terminal::new(programs, Some(address)).follow(&Page::read(path));
        })
    });
    let messages_on_a_broker =
        BrokerTrial::new("messages_of_the_troubleshooting_page_on_a_broker", messages::check_with_a_broker);
    trials_beside(
        pages.chain([messages_trial]).collect(),
        Broker::start,
        pages_on_a_broker.chain([messages_on_a_broker]).collect(),
    )
}

/// Programs in a directory with the files of the project that readers use.
fn programs_in_the_tree(programs: Programs) -> Programs {
    copy(&root().join("etc"), programs.directory());
    programs
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-R").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} cannot be copied", from.display());
}
