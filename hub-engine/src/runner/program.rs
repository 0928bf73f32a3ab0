//! Whether the system can run a file as a program, and where not, what is wrong and what to do about it.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// How much of a file the system looks at to find its interpreter, in bytes.
const FIRST_LINE: u64 = 256;
const ELF: &[u8] = b"\x7fELF";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a file is, as a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The system can run it, as far as can be told.
    Usable,
    /// It is meant to be run, and cannot be. The reason ends with what to do.
    Faulty(String),
    /// It is not meant to be run.
    None,
}

impl Program {
    /// Looks at a regular file. Programs that it names are looked for from `directory`, in which it will run.
    pub(super) fn look(path: &Path, metadata: &std::fs::Metadata, directory: &Path) -> Self {
        let head = read_head(path);
        let mode = metadata.permissions().mode() & 0o7777;
        let name = path.file_name().unwrap_or_default().display();
        if mode & 0o111 == 0 {
            let is_meant = head.as_deref().is_some_and(|head| head.starts_with(b"#!") || head.starts_with(ELF));
            return if is_meant {
                Self::Faulty(format!(
                    "it is not executable. Run: chmod +x {name} (or call it _{name} if it is a helper)"
                ))
            } else {
                Self::None
            };
        }
        if access(path, AccessFlags::X_OK).is_err() {
            return Self::Faulty(format!(
                "this user may not execute it (mode {mode:o}, owner {}), or its file system is mounted with noexec. \
                 Run: chmod a+rx {name}",
                metadata.uid()
            ));
        }
        // A program may be executable without being readable.
        head.and_then(|head| fault_of(&head, &name.to_string(), directory)).map_or(Self::Usable, Self::Faulty)
    }
}

/// What to say of a program that the system would not start.
pub(super) fn explain(error: &std::io::Error, path: &Path, directory: &Path) -> String {
    if let Ok(metadata) = std::fs::metadata(path)
        && let Program::Faulty(why) = Program::look(path, &metadata, directory)
    {
        return why;
    }
    match nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
        nix::errno::Errno::ENOEXEC => {
            "it is no program for this machine: it was built for another kind of processor or system".to_owned()
        }
        nix::errno::Errno::ENOENT => {
            "the loader or interpreter that it needs is not there: it was built for another system".to_owned()
        }
        _ => format!("the system does not start it: {error}"),
    }
}

fn read_head(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(FIRST_LINE).read_to_end(&mut head).ok()?;
    Some(head)
}

/// What is wrong with a file that begins so.
fn fault_of(head: &[u8], name: &str, directory: &Path) -> Option<String> {
    if head.is_empty() {
        return Some("it is empty".to_owned());
    }
    if let Some(rest) = head.strip_prefix(BYTE_ORDER_MARK) {
        let hides = if rest.starts_with(b"#!") { ", which hides its first line from the system" } else { "" };
        return Some(format!("it begins with a byte-order mark{hides}. Save it as UTF-8 without one"));
    }
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Some("it is UTF-16 text. Save it as UTF-8".to_owned());
    }
    let Some(line) = head.strip_prefix(b"#!") else {
        let is_text = head.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
        return is_text.then(|| "its interpreter line is missing. Add a first line such as #!/bin/sh".to_owned());
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    if line.ends_with('\r') {
        return Some(format!(
            "its lines end with CR LF, as on Windows, so the system looks for an interpreter called {:?}. \
             Run: sed -i 's/\\r$//' {name}",
            line.trim_start_matches([' ', '\t'])
        ));
    }
    fault_of_interpreter(line.trim_matches([' ', '\t']), directory)
}

/// What is wrong with what follows the `#!`.
fn fault_of_interpreter(line: &str, directory: &Path) -> Option<String> {
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else {
        return Some("its first line names no interpreter. It must be such as #!/bin/sh".to_owned());
    };
    if !directory.join(interpreter).is_file() {
        return Some(format!(
            "its first line names the interpreter {interpreter}, which is not there. Install it, or name another one"
        ));
    }
    if Path::new(interpreter).file_name().is_none_or(|name| name != "env") {
        return None;
    }
    let program =
        words.find(|word| *word != "-S").filter(|word| !word.starts_with('-') && !word.contains(['=', '/']))?;
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|place| place.join(program)).any(|file: PathBuf| file.is_file());
    (!found).then(|| {
        format!(
            "its first line asks for {program}, which is in no directory of the worker's PATH ({}). Install it, or \
             set PATH for the worker",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &[u8], mode: u32) -> Program {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("greet.sh");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Program::look(&path, &std::fs::metadata(&path).unwrap(), directory.path())
    }

    #[test]
    fn what_can_be_run_is_usable() {
        for text in [
            "#!/bin/sh\n",
            "#! /bin/sh -e\necho 1\r\n",
            "#!/usr/bin/env sh\n",
            "#!/usr/bin/env -S sh -e\n",
            "#!/bin/sh",
        ] {
            assert_eq!(look(text.as_bytes(), 0o755), Program::Usable, "{text:?}");
        }
        assert_eq!(look(b"\x7fELF\x02\x01\x01\0", 0o755), Program::Usable);
    }

    #[test]
    fn what_is_not_meant_to_be_run_is_none() {
        for text in ["", "{}", "a,b\n1,2\n", "\u{feff}#!"] {
            assert_eq!(look(text.as_bytes(), 0o644), Program::None, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_run_says_why_and_what_to_do() {
        let faults = [
            ("#!/bin/sh\n", 0o644, "chmod +x greet.sh"),
            ("\u{7f}ELF", 0o644, "chmod +x greet.sh"),
            ("#!/bin/sh\r\necho 1\r\n", 0o755, "an interpreter called \"/bin/sh\\r\". Run: sed -i 's/\\r$//' greet.sh"),
            ("#!/usr/bin/env sh\r\n", 0o755, "CR LF"),
            ("#!/opt/no/such/perl -w\n", 0o755, "/opt/no/such/perl, which is not there"),
            ("#!/usr/bin/env no-such-program\n", 0o755, "asks for no-such-program"),
            ("#!\n", 0o755, "names no interpreter"),
            ("echo 1\n", 0o755, "interpreter line is missing"),
            ("", 0o755, "empty"),
            ("\u{feff}#!/bin/sh\n", 0o755, "byte-order mark"),
        ];
        for (text, mode, words) in faults {
            match look(text.as_bytes(), mode) {
                Program::Faulty(why) => assert!(why.contains(words), "{text:?}: {why}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
