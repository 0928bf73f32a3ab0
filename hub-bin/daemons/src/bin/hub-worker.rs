//! `hub-worker` in the foreground.

fn main() -> std::process::ExitCode {
    hub_bin::worker::main(hub_daemons::PARTS)
}
