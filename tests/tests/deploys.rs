//! Tests of task modules that change while a Hub runs: the next task uses the new version, without a restart.

use std::os::unix::fs::{PermissionsExt, symlink};

use hub_tests::{Programs, eventually};
use serde_json::{Value, json};

/// Runs a job of one task. Returns its result or its error message.
fn ask(programs: &Programs, module: &str) -> Value {
    let job = format!(r#"{{"name": "x", "tasks": [{{"name": "{module}"}}]}}"#);
    let record = programs.ended(&programs.submit(&job));
    let task = &record["tasks"][0];
    if task["status"] == "SUCCESS" { task["data"].clone() } else { task["msg"].clone() }
}

fn becomes(programs: &Programs, module: &str, expected: &Value) {
    eventually(&format!("{module} returns {expected}"), || {
        let said = ask(programs, module);
        if said == *expected { Ok(()) } else { Err(said) }
    });
}

#[test]
fn imported_helper_modules_are_watched() {
    let modules = [
        ("uses_pkg.py", "from pkg import util\ndef uses_pkg():\n    return util.V\n"),
        ("lazy.py", "def lazy():\n    import _lazyhelp\n    return _lazyhelp.V\n"),
        ("later.py", "import _cfg\nasync def later():\n    return _cfg.V\n"),
        ("_lazyhelp.py", "V = 1\n"),
        ("_cfg.py", "V = oops\n"),
    ];
    let programs = Programs::alone();
    let package = programs.directory().join("tasks/pkg");
    std::fs::create_dir_all(&package).unwrap();
    std::fs::write(package.join("__init__.py"), "").unwrap();
    std::fs::write(package.join("util.py"), "V = 1\n").unwrap();
    let (programs, hub) = programs.start_in_memory(&modules, &[]);
    assert_eq!((ask(&programs, "uses_pkg"), ask(&programs, "lazy")), (json!(1), json!(1)));
    assert_eq!(ask(&programs, "later"), "name 'oops' is not defined");
    std::fs::write(package.join("util.py"), "V = 2\n").unwrap();
    programs.write_modules(&[("_lazyhelp.py", "V = 2\n"), ("_cfg.py", "V = 7\n")]);
    for (module, expected) in [("uses_pkg", 2), ("lazy", 2), ("later", 7)] {
        becomes(&programs, module, &json!(expected));
    }
    hub.stop();
}

#[test]
fn the_directory_may_be_a_link_that_changes() {
    let programs = Programs::alone();
    let place = programs.directory().join("releases");
    let write_release = |name: &str| {
        let release = place.join(name);
        std::fs::create_dir_all(&release).unwrap();
        std::fs::write(release.join("_version.py"), format!("V = {name:?}\n")).unwrap();
        let files = [
            ("function", "import _version\ndef function():\n    return _version.V\n".to_owned()),
            ("coroutine", "async def coroutine():\n    import _version\n    return _version.V\n".to_owned()),
        ];
        for (module, text) in files {
            std::fs::write(release.join(format!("{module}.py")), text).unwrap();
        }
        std::fs::write(release.join("program.sh"), format!("#!/bin/sh\necho '{name:?}'\n")).unwrap();
        std::fs::set_permissions(release.join("program.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    write_release("v1");
    symlink("v1", place.join("current")).unwrap();
    let current = place.join("current").to_string_lossy().into_owned();
    let (programs, hub) = programs.start_in_memory(&[], &["--tasks-dir", &current]);
    let all = ["function", "coroutine", "program"];
    assert_eq!(all.map(|module| ask(&programs, module)), [json!("v1"), json!("v1"), json!("v1")]);
    write_release("v2");
    // As with deployment tools: a new link replaces the old one.
    symlink("v2", place.join("next")).unwrap();
    std::fs::rename(place.join("next"), place.join("current")).unwrap();
    std::fs::remove_dir_all(place.join("v1")).unwrap();
    for module in all {
        becomes(&programs, module, &json!("v2"));
    }
    hub.stop();
}

#[test]
fn a_module_that_hangs_on_import_blocks_neither_the_start_nor_other_modules() {
    let modules =
        [("a_hang.py", "import time\nwhile True:\n    time.sleep(1000)\n"), ("fine.py", "def fine():\n    return 1\n")];
    let (programs, hub) = Programs::in_memory(&modules, &[]);
    let waiting: Vec<String> =
        (0..4).map(|_| programs.submit(r#"{"name": "x", "tasks": [{"name": "a_hang"}]}"#)).collect();
    assert_eq!(ask(&programs, "fine"), 1);
    programs.write_modules(&[("new.py", "def new():\n    return 2\n")]);
    becomes(&programs, "new", &json!(2));
    programs.write_modules(&[("a_hang.py", "def a_hang():\n    return 3\n")]);
    for id in waiting {
        assert_eq!(programs.ended(&id)["tasks"][0]["data"], 3);
    }
    hub.stop();
}
