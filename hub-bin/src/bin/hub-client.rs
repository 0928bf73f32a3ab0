//! `hub-client`.

fn main() -> std::process::ExitCode {
    hub_bin::client::main()
}
