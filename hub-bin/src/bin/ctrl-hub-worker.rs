//! `ctrl-hub-worker`: starts and stops hub-worker as a daemon.

fn main() -> std::process::ExitCode {
    hub_bin::control::main("hub-worker")
}
