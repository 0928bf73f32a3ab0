//! Checks whether the system can run a file as a program, and explains why not and what to do.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// Number of bytes of a file that the system reads to find its interpreter.
const FIRST_LINE: u64 = 256;
const ELF: &[u8] = b"\x7fELF";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a file is a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The system can run it, as far as known.
    Usable,
    /// It is intended to be run, but cannot be. Contains the reason and what to do.
    Faulty(String),
    /// It is not intended to be run.
    None,
}

impl Program {
    /// Checks a regular file. Relative paths of interpreters are resolved from `directory`, in which it will run.
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

/// The message about a program that the system cannot start.
pub(super) fn explain(error: &std::io::Error, path: &Path, directory: &Path) -> String {
    if let Ok(metadata) = std::fs::metadata(path)
        && let Program::Faulty(why) = Program::look(path, &metadata, directory)
    {
        return why;
    }
    match nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
        nix::errno::Errno::ENOEXEC => {
            "it is not a program for this machine: it was built for another processor or system".to_owned()
        }
        nix::errno::Errno::ENOENT => {
            "its loader or interpreter does not exist: it was built for another system".to_owned()
        }
        _ => format!("the system cannot start it: {error}"),
    }
}

fn read_head(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(FIRST_LINE).read_to_end(&mut head).ok()?;
    Some(head)
}

/// The fault of a file with this beginning, if any.
fn fault_of(head: &[u8], name: &str, directory: &Path) -> Option<String> {
    if head.is_empty() {
        return Some("it is empty".to_owned());
    }
    if let Some(rest) = head.strip_prefix(BYTE_ORDER_MARK) {
        let hides = if rest.starts_with(b"#!") { ", which hides its first line from the system" } else { "" };
        return Some(format!("it begins with a byte-order mark{hides}. Save it as UTF-8 without a byte-order mark"));
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
            "its lines end with CR LF, as on Windows, so the system searches for an interpreter named {:?}. \
             Run: sed -i 's/\\r$//' {name}",
            line.trim_start_matches([' ', '\t'])
        ));
    }
    fault_of_interpreter(line.trim_matches([' ', '\t']), directory)
}

/// The fault of the interpreter line after `#!`, if any.
fn fault_of_interpreter(line: &str, directory: &Path) -> Option<String> {
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else {
        return Some("its first line names no interpreter. Write a first line such as #!/bin/sh".to_owned());
    };
    if !directory.join(interpreter).is_file() {
        return Some(format!(
            "its first line names the interpreter {interpreter}, which does not exist. Install it, or name another one"
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
            "its first line names the program {program}, which is not in the worker's PATH ({}). Install it, or \
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
    fn valid_programs_are_usable() {
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
    fn data_files_are_not_programs() {
        for text in ["", "{}", "a,b\n1,2\n", "\u{feff}#!"] {
            assert_eq!(look(text.as_bytes(), 0o644), Program::None, "{text:?}");
        }
    }

    #[test]
    fn faults_have_a_reason_and_a_remedy() {
        let faults = [
            ("#!/bin/sh\n", 0o644, "chmod +x greet.sh"),
            ("\u{7f}ELF", 0o644, "chmod +x greet.sh"),
            ("#!/bin/sh\r\necho 1\r\n", 0o755, "an interpreter named \"/bin/sh\\r\". Run: sed -i 's/\\r$//' greet.sh"),
            ("#!/usr/bin/env sh\r\n", 0o755, "CR LF"),
            ("#!/opt/no/such/perl -w\n", 0o755, "/opt/no/such/perl, which does not exist"),
            ("#!/usr/bin/env no-such-program\n", 0o755, "names the program no-such-program"),
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
