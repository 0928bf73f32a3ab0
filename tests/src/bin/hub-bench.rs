//! `hub-bench`: the measure of Hub's speed. See docs/performance.md.

fn main() -> std::process::ExitCode {
    hub_tests::bench::main()
}
