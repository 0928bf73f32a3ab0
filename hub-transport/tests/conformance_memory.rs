//! The conformance suite on the memory backend, with all capabilities and without each of them. A case that needs the missing
//! capability is shown as ignored.

mod memory_support;

use std::process::ExitCode;

use hub_transport::memory::MemoryBroker;
use hub_transport::testing::conformance::{Case, cases};
use hub_transport::{Capabilities, Capability};
use libtest_mimic::{Arguments, Failed, Trial};
use memory_support::Memory;

/// Maximum size of a message, in bytes.
const MAXIMUM_MESSAGE_BYTES: usize = 1_000_000;

fn main() -> ExitCode {
    let all = Capabilities { max_message_bytes: Some(MAXIMUM_MESSAGE_BYTES), ..Capabilities::all() };
    let mut trials: Vec<Trial> = cases().into_iter().map(|case| trial("memory", case, all)).collect();
    for off in Capability::ALL {
        let group = format!("without_{off}");
        trials.extend(cases().into_iter().map(|case| trial(&group, case, all.without(off))));
        // A capability that no case needs would not be tested.
        assert!(cases().iter().any(|case| case.needs.contains(&off)), "no case needs {off}");
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(group: &str, case: Case, capabilities: Capabilities) -> Trial {
    let is_missing = !case.missing(&capabilities).is_empty();
    let run = move || {
        let broker = MemoryBroker::with_capabilities(capabilities);
        let transport = broker.transport();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(Failed::from)?.block_on(case.run(&Memory { broker, transport }));
        Ok(())
    };
    Trial::test(format!("{group}::{}", case.name), run).with_ignored_flag(is_missing)
}
