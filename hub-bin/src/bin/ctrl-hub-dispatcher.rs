//! `ctrl-hub-dispatcher`: hub-dispatcher as a daemon.

fn main() -> std::process::ExitCode {
    hub_bin::control::main("hub-dispatcher")
}
