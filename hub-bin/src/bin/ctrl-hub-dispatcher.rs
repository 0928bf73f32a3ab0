//! `ctrl-hub-dispatcher`: starts and stops hub-dispatcher as a daemon.

fn main() -> std::process::ExitCode {
    hub_bin::control::main("hub-dispatcher")
}
