//! Tasks that write to the protocol's pipes, fork, close descriptors of Hub, or end their process.

mod runner_support;

use std::collections::BTreeSet;

use hub_core::state::ErrorKind;
use hub_engine::runner::{NoOutcome, Outcome, RunControl, Runner as _, RunnerSettings};
use runner_support::{Bench, until};

/// The pipes to the worker: those that are open for writing in this process.
const PIPES: &str = "
import os, stat

def pipes():
    found = []
    for number in range(700, 1024):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode) and os.readlink('/proc/self/fd/%d' % number):
                with open('/proc/self/fdinfo/%d' % number) as info:
                    flags = int(info.read().split('flags:')[1].split()[0], 8)
                if flags & 3 == os.O_WRONLY:
                    found.append(number)
        except OSError:
            pass
    return found
";

const FORGE: &str = r#"
import os, struct, sys, time
from _pipes import pipes

def frame(key, text):
    return struct.pack("<QQ", len(text), key) + text

def own_key():
    frames, key = sys._getframe(), None
    while key is None:
        key = frames.f_locals.get("key")
        frames = frames.f_back
    return key

def forge(how):
    forged = b'{"status":"success","data":"forged"}'
    if how == "pipes":
        return len(pipes())
    if how == "lines":
        data = b"".join(b'{"id":%d,"status":"success","data":"forged"}\n' % key for key in range(20))
    elif how == "keys":
        data = b"".join(frame(key, forged) for key in range(20))
    elif how == "half":
        data = b"123"
    elif how == "endless":
        data = struct.pack("<QQ", 1 << 60, own_key())
    elif how == "answer and more":
        data = frame(own_key(), b'{"status":"success","data":"answered"}') + b"x" * 16
    elif how == "stolen":
        # Waits for one behind it, and finds its key where the process keeps it.
        frame_of_hub = sys._getframe()
        while not hasattr(frame_of_hub.f_locals.get("self"), "requests"):
            frame_of_hub = frame_of_hub.f_back
        requests = frame_of_hub.f_locals["self"].requests
        while not requests.waiting:
            time.sleep(0.001)
        data = frame(next(iter(requests.waiting)), forged)
    for number in pipes():
        os.write(number, data)
    return "honest"
"#;

async fn forging_bench() -> Bench {
    let quick = "def quick():\n    return 'honest'\n";
    let bench = Bench::start(&[("_pipes.py", PIPES), ("forge.py", FORGE), ("quick.py", quick)]).await;
    assert_eq!(Bench::returned(&bench.run("forge", r#"["pipes"]"#).await), "1", "the test finds the pipe");
    bench
}

#[tokio::test]
async fn invalid_output_ends_the_process_and_fails_its_task() {
    let bench = forging_bench().await;
    for (how, message) in [
        ("lines", "something that is not an answer"),
        ("keys", "something that is not an answer"),
        ("half", "something that is not an answer"),
        ("endless", "began an answer of 1152921504606846976 bytes"),
    ] {
        let report = bench.run("forge", &format!("[{how:?}]")).await;
        let (kind, msg, _) = Bench::failure(&report);
        assert!(kind == ErrorKind::ChildDied && msg.contains(message), "{how}: {kind:?} {msg}");
        assert_eq!(Bench::returned(&bench.run("quick", "[]").await), r#""honest""#, "after {how}");
    }
}

#[tokio::test]
async fn an_answer_before_invalid_output_is_not_lost() {
    let bench = forging_bench().await;
    // In one write and therefore in one read, as if the task after a short one writes to the pipe.
    let report = bench.run("forge", r#"["answer and more"]"#).await;
    assert_eq!(Bench::returned(&report), r#""answered""#);
    assert_eq!(Bench::returned(&bench.run("quick", "[]").await), r#""honest""#);
}

#[tokio::test]
async fn a_module_that_writes_to_the_worker_without_end_is_broken() {
    let floods = "import os\nfrom _pipes import pipes\nfor number in pipes():\n    while True:\n        \
                  os.write(number, b'x' * 65536)\n";
    let quick = "def quick():\n    return 1\n";
    let bench = Bench::start(&[("_pipes.py", PIPES), ("floods.py", floods), ("quick.py", quick)]).await;
    until("the import ends", || bench.runner.catalogue().borrow().broken.contains_key("floods")).await;
    let why = bench.runner.catalogue().borrow().broken["floods"].clone();
    assert!(why.contains("wrote more than 64 MiB to its standard output"), "{why}");
    assert_eq!(Bench::returned(&bench.run("quick", "[]").await), "1");
}

#[tokio::test]
async fn a_task_cannot_answer_for_a_queued_one() {
    let bench = forging_bench().await;
    // Fast tasks are queued ahead, so that a task waits behind the forging one.
    while !bench.runner.can_queue_ahead("quick") {
        bench.run("quick", "[]").await;
    }
    let stop = RunControl::default();
    let forger = bench.runner.run(bench.request("forge", r#"["stolen"]"#), stop.clone());
    let behind = bench.runner.run(bench.request("quick", "[]"), stop.clone());
    let (forger, behind) = tokio::join!(forger, behind);
    assert!(!format!("{:?} {:?}", forger.outcome, behind.outcome).contains("forged"), "{forger:?} {behind:?}");
    let (kind, msg, _) = Bench::failure(&forger);
    assert!(kind == ErrorKind::ChildDied && msg.contains("for a task that it did not run"), "{msg}");
    assert_eq!(behind.outcome, Err(NoOutcome::NotBegun));
}

const FORKS: &str = "
import ctypes, os, sys, time

def fork(how):
    print('before')
    child = ctypes.CDLL(None).fork() if how == 'unseen' else os.fork()
    if child == 0:
        print('in the child')
        if how == 'raises':
            raise ValueError('no')
        if how == 'exits':
            sys.exit(7)
        return 'forged'
    return [os.WEXITSTATUS(os.waitpid(child, 0)[1]), 'parent']

async def afork(how):
    return fork(how)
";

#[tokio::test]
async fn a_fork_cannot_answer_for_its_parent() {
    let afork = "from fork import fork\nasync def afork(how):\n    return fork(how)\n";
    let bench = Bench::start(&[("fork.py", FORKS), ("afork.py", afork)]).await;
    for (how, code) in [("returns", 0), ("raises", 1), ("exits", 7), ("unseen", 0)] {
        let report = bench.run("fork", &format!("[{how:?}]")).await;
        assert_eq!(Bench::returned(&report), format!(r#"[{code},"parent"]"#), "{how}");
        let log = report.log.as_deref().unwrap_or_default();
        assert_eq!(log.matches("in the child\n").count(), 1, "{how}: {log}");
        let befores = log.matches("before\n").count();
        assert_eq!(befores, 1, "{how}: {log}");
        let report = bench.run("afork", &format!("[{how:?}]")).await;
        assert_eq!(Bench::returned(&report), format!(r#"[{code},"parent"]"#), "{how}");
    }
}

#[tokio::test]
async fn a_process_that_closes_its_pipes_is_replaced() {
    let closes = "import os\ndef closes(first):\n    os.closerange(first, 1024)\n    return first\n";
    let acloses = "import os\nasync def acloses(first):\n    os.closerange(first, 1024)\n    return first\n";
    let quick = "def quick():\n    return 1\n";
    let bench = Bench::start(&[("closes.py", closes), ("acloses.py", acloses), ("quick.py", quick)]).await;
    for module in ["closes", "acloses"] {
        let report = bench.run(module, "[0]").await;
        assert_eq!(Bench::failure(&report).0, ErrorKind::ChildDied);
        assert_eq!(Bench::returned(&bench.run("quick", "[]").await), "1");
    }
}

#[tokio::test]
async fn a_file_that_reuses_a_closed_descriptor_of_hub_is_not_changed() {
    let opens = "import os\ndef opens(paths, exchange):\n    os.closerange(3, 700)\n    \
                 opened = [os.open(path, os.O_RDWR | os.O_CREAT) for path in paths]\n    \
                 print('printed', flush=True)\n    for number in opened:\n        os.write(number, b'precious')\n    \
                 if exchange:\n        os.dup2(opened[0], 1)\n";
    let quick = "def quick():\n    print('quick')\n    return 1\n";
    for keyword in ["def", "async def"] {
        let opens = opens.replace("def", keyword);
        let bench = Bench::start(&[("opens.py", &opens), ("quick.py", quick)]).await;
        for exchange in [false, true] {
            let paths = [0, 1, 2, 3, 4, 5].map(|number| bench.path(&format!("data-{number}-{exchange}")));
            let report = bench.run("opens", &format!("[{paths:?}, {exchange}]")).await;
            assert_eq!((Bench::returned(&report), report.log.as_deref()), ("null", Some("printed\n")));
            for path in paths {
                assert_eq!(std::fs::read_to_string(path).unwrap(), "precious", "{keyword} {exchange}");
            }
            assert_eq!(bench.run("quick", "[]").await.log.as_deref(), Some("quick\n"));
            // The event loop has lost its descriptors, so its process ends with all its tasks.
            if keyword == "async def" {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_coroutine_that_breaks_its_process_is_reported() {
    let loses = "import os\nasync def loses():\n    os.closerange(3, 700)\n    os.close(1)\n    return 1\n";
    let breaks = "import os\nasync def breaks():\n    os.fstat = None\n    return 1\n";
    let quick = "async def quick():\n    return 1\n";
    let bench = Bench::start(&[("loses.py", loses), ("breaks.py", breaks), ("quick.py", quick)]).await;
    for module in ["loses", "breaks"] {
        let report = bench.run(module, "[]").await;
        assert_ne!(report.outcome, Err(NoOutcome::Cancelled), "{module}");
        // The next tasks may still be passed to the ending process.
        while bench.run("quick", "[]").await.outcome != Ok(Outcome::Success { data: hub_core::Json::from_checked("1") })
        {
        }
    }
}

#[tokio::test]
async fn a_coroutine_that_is_stopped_before_its_first_step_answers() {
    let busy = "import time\nasync def busy(path):\n    open(path, 'w').close()\n    time.sleep(0.3)\n";
    let quick = "async def quick():\n    return 1\n";
    let bench = Bench::start(&[("busy.py", busy), ("quick.py", quick)]).await;
    let (path, stop) = (bench.path("begun"), RunControl::default());
    let busy = bench.runner.run(bench.request("busy", &format!("[{path:?}]")), RunControl::default());
    let stopped = async {
        until("the loop is busy", || path.exists()).await;
        let running = bench.runner.run(bench.request("quick", "[]"), stop.clone());
        let started = std::time::Instant::now();
        // The request is sent before the cancellation.
        let stopping = async { stop.stop(None) };
        let (report, ()) = tokio::join!(running, stopping);
        assert_eq!(report.outcome, Err(NoOutcome::Cancelled));
        // Without an answer, it is abandoned after five seconds.
        assert!(started.elapsed() < std::time::Duration::from_secs(4));
    };
    tokio::join!(busy, stopped);
}

const LEAVES: &str = "
import os, subprocess, sys, time

def leaves(path):
    # It keeps open what it can of its parent's, and does not end by itself.
    held = [number for number in range(700, 1024) if os.path.exists('/proc/self/fd/%d' % number)]
    process = subprocess.Popen(['sleep', '3600'], pass_fds=held)
    with open(path, 'w') as file:
        file.write('%d %d' % (os.getpid(), process.pid))
    print('last words', flush=True)
    os._exit(5)
";

fn is_running(pid: &str) -> bool {
    // A process that has ended and was not waited for is a zombie.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
}

#[tokio::test]
async fn a_dead_process_is_noticed_although_others_keep_its_pipes_open() {
    let bench = Bench::start(&[("leaves.py", LEAVES)]).await;
    let path = bench.path("pids");
    let report = bench.run("leaves", &format!("[{path:?}]")).await;
    let (kind, msg, error) = Bench::failure(&report);
    assert!(kind == ErrorKind::ChildDied && msg.contains("exited with code 5"), "{msg}");
    assert_eq!((report.log.as_deref(), error.traceback.as_deref()), (Some("last words\n"), Some("last words\n")));
    let pids = std::fs::read_to_string(path).unwrap();
    for pid in pids.split(' ') {
        until("its group ends with it", || !is_running(pid)).await;
    }
}

#[tokio::test]
async fn the_output_of_a_stopped_task_is_kept() {
    let wait = "import time\ndef wait(path):\n    print('begun', flush=True)\n    print('caf\\udce9')\n    \
                open(path, 'w').close()\n    time.sleep(3600)\n";
    let await_ = "import asyncio\nasync def await_(path):\n    print('begun')\n    print('caf\\udce9')\n    \
                open(path, 'w').close()\n    await asyncio.sleep(3600)\n";
    let bench = Bench::start(&[("wait.py", wait), ("await_.py", await_)]).await;
    for module in ["wait", "await_"] {
        let (path, stop) = (bench.path(&format!("{module}.begun")), RunControl::default());
        let running = bench.runner.run(bench.request(module, &format!("[{path:?}]")), stop.clone());
        let stopping = async {
            until("it runs", || path.exists()).await;
            stop.stop(None);
        };
        let (report, ()) = tokio::join!(running, stopping);
        assert_eq!(report.outcome, Err(NoOutcome::Cancelled));
        assert_eq!(report.log.as_deref(), Some("begun\ncaf\\udce9\n"), "{module}");
    }
}

#[tokio::test]
async fn endless_output_fills_neither_memory_nor_disk() {
    let prints = "import os\nfrom hub.lib.api import task\ndef prints():\n    for number in range(400):\n        \
                  print('x' * 9999)\n    return os.fstat(1).st_size\n";
    let change = |settings| RunnerSettings { log_limit_bytes: 1000, ..settings };
    let bench = Bench::start_with(&[("prints.py", prints)], change).await;
    let report = bench.run("prints", "[]").await;
    let size: u64 = Bench::returned(&report).parse().unwrap();
    assert!(size < 1_100_000, "{size} bytes in its file");
    let log = report.log.unwrap();
    assert!(log.len() < 1100 && log.starts_with("[earlier output was dropped]") && log.ends_with("xx\n"), "{log}");
}

/// The worker dies in the middle of a request.
#[test]
fn a_request_that_is_cut_off_ends_the_process_and_its_group() {
    use std::io::Write as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    let directory = tempfile::tempdir().unwrap();
    let sdk = directory.path().join("sdk");
    assert!(
        Command::new("cp")
            .args(["-r", concat!(env!("CARGO_MANIFEST_DIR"), "/python")])
            .arg(&sdk)
            .status()
            .unwrap()
            .success()
    );
    let hold = "import subprocess, time\ndef hold(path):\n    process = subprocess.Popen(['sleep', '3600'])\n    \
                with open(path + '.new', 'w') as file:\n        file.write(str(process.pid))\n    \
                import os\n    os.rename(path + '.new', path)\n    time.sleep(3600)\n";
    std::fs::write(directory.path().join("hold.py"), hold).unwrap();
    std::fs::write(sdk.join("hub_tasks/directory"), directory.path().as_os_str().as_encoded_bytes()).unwrap();
    let pids = directory.path().join("pid");
    let settings = serde_json::json!({
        "tasks_dir": directory.path(), "output": directory.path().join("output"),
        "log_limit": 1000, "result_limit": 1000, "max_depth": 500, "coroutines": false,
    });
    let body = serde_json::json!({
        "id": "i", "parent_id": "p", "name": "hold", "task_name": "hold", "args": [pids], "kwargs": {}, "attempt": 1,
    });
    let body = body.to_string();
    let mut request = (body.len() as u64).to_le_bytes().to_vec();
    request.extend(7_u64.to_le_bytes());
    request.push(0);
    request.extend(body.as_bytes());
    let start = "import sys; sys.path[0] = sys.argv.pop(1); from hub.child import main; main()";
    let mut ends = BTreeSet::new();
    for cut in (1..request.len()).step_by(23) {
        let _ = std::fs::remove_file(&pids);
        let mut child = Command::new("python3")
            .args(["-c", start])
            .arg(&sdk)
            .arg(settings.to_string())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&request).unwrap();
        let deadline = std::time::Instant::now() + runner_support::DEADLINE;
        while !pids.exists() {
            assert!(std::time::Instant::now() < deadline, "the task does not begin");
            std::thread::yield_now();
        }
        input.write_all(&request[..cut]).unwrap();
        drop(input);
        while child.try_wait().unwrap().is_none() {
            assert!(std::time::Instant::now() < deadline, "the process lives on, cut at {cut}");
            std::thread::yield_now();
        }
        let started = std::fs::read_to_string(&pids).unwrap();
        while is_running(&started) {
            assert!(std::time::Instant::now() < deadline, "what the task started lives on, cut at {cut}");
            std::thread::yield_now();
        }
        ends.insert(cut);
    }
    assert!(ends.len() > 5);
}

const LEAK: &str = "
kept = []

def leak():
    try:
        while True:
            kept.append(open('/dev/null'))
    except OSError as error:
        return error.strerror
";

#[tokio::test]
async fn a_task_that_leaks_descriptors_breaks_no_other_module() {
    let bench = Bench::start(&[("leak.py", LEAK), ("echo.py", "def echo(*args): return list(args)")]).await;
    let leaked = bench.run("leak", "[]").await;
    assert!(format!("{leaked:?}").contains("Too many open files"), "{leaked:?}");
    let after = bench.run("echo", "[1]").await;
    assert!(matches!(&after.outcome, Ok(Outcome::Success { data }) if data.get() == "[1]"), "{after:?}");
}

#[tokio::test]
async fn a_coroutine_with_all_descriptors_breaks_no_other_module() {
    let hold = "import asyncio, os\nasync def hold(begun, end):\n    kept = []\n    try:\n        \
                while True:\n            kept.append(open('/dev/null'))\n    except OSError:\n        \
                os.mkdir(begun)\n    while not os.path.exists(end):\n        await asyncio.sleep(0.001)\n    \
                return 'to its end'\n";
    let echo = "async def echo(*args): return list(args)";
    let bench = Bench::start(&[("hold.py", hold), ("echo.py", echo)]).await;
    let (begun, end) = (bench.path("begun"), bench.path("end"));
    let args = format!("[{begun:?}, {end:?}]");
    let meanwhile = async {
        until("it has them all", || begun.exists()).await;
        assert_eq!(Bench::returned(&bench.run("echo", "[1]").await), "[1]");
        std::fs::write(&end, "").unwrap();
    };
    let (held, ()) = tokio::join!(bench.run("hold", &args), meanwhile);
    assert_eq!(Bench::returned(&held), r#""to its end""#, "what ran in the process goes on");
}

/// Tasks that each leak a descriptor would eventually fail other tasks that open files.
#[tokio::test]
async fn a_process_whose_descriptors_run_out_is_replaced_in_time() {
    let leaks = "import os, resource\n\
                 resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n\
                 def leaks():\n    for _ in range(3):\n        os.open('/dev/null', os.O_RDONLY)\n    return 1\n";
    let opens = "def opens():\n    with open('/dev/null'):\n        return 2\n";
    for keyword in ["def", "async def"] {
        let (leaks, opens) = (leaks.replace("def", keyword), opens.replace("def", keyword));
        let bench = Bench::start(&[("leaks.py", &leaks), ("opens.py", &opens)]).await;
        for _ in 0..150 {
            assert_eq!(Bench::returned(&bench.run("leaks", "[]").await), "1", "{keyword}");
            assert_eq!(Bench::returned(&bench.run("opens", "[]").await), "2", "{keyword}");
        }
    }
}

#[tokio::test]
async fn removing_temporary_files_stops_no_task() {
    let place = "import sys\ndef place(): return sys.path[0]\n";
    let end = "import os\ndef end(): os._exit(3)\n";
    let bench = Bench::start(&[("place.py", place), ("end.py", end)]).await;
    let found = bench.run("place", "[]").await;
    let Ok(Outcome::Success { data }) = &found.outcome else { panic!("{found:?}") };
    std::fs::remove_dir_all(data.to_value().as_str().unwrap()).unwrap();
    assert!(matches!(bench.run("end", "[]").await.outcome, Ok(Outcome::Failed { .. })));
    assert_eq!(bench.run("place", "[]").await.outcome, found.outcome, "a new process has its files again");
}
