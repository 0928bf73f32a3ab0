//! `hub-bench`: the benchmark. See docs/performance.md.

/// As in Hub's programs: what is measured within this process is to cost what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hub_tests::bench::main()
}
