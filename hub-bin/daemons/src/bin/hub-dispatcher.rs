//! `hub-dispatcher` in the foreground.

fn main() -> std::process::ExitCode {
    hub_bin::dispatcher::main(hub_daemons::PARTS)
}
