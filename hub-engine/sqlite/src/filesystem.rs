//! Warns about locations in which a store may be damaged.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statfs::statfs;

/// Network file systems and their numbers in the system. SQLite's WAL file cannot be shared between machines, and a
/// disconnected server may lose or reorder synced writes.
const NETWORK: [(i64, &str); 4] = [(0x6969, "NFS"), (0x517b, "SMB"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB")];

/// Logs a warning if the store is on a network file system.
pub(super) fn warn_of_network(path: &Path) {
    let Some(found) = statfs(path).ok().and_then(|system| network(system.filesystem_type().0)) else {
        return;
    };
    tracing::warn!(
        "the store {} is on a network file system ({found}), where SQLite's files may be damaged: keep it on a local disk",
        path.display()
    );
}

/// Logs a warning if the store has several hard links. Under another name SQLite has another WAL file, and a second
/// dispatcher another lock.
pub(super) fn warn_of_hard_links(path: &Path) {
    let names = std::fs::metadata(path).map_or(1, |metadata| metadata.nlink());
    if names > 1 {
        tracing::warn!(
            "the store {} has {names} names (hard links). Opening it under two of them damages it. Remove the others; symbolic \
             links are safe",
            path.display()
        );
    }
}

/// The name of a network file system. Numbers may be sign-extended.
fn network(number: i64) -> Option<&'static str> {
    NETWORK.iter().find(|(known, _)| *known == number & 0xffff_ffff).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_recognised_and_local_ones_are_not() {
        assert_eq!((network(0x6969), network(i64::from(0xff53_4d42_u32.cast_signed()))), (Some("NFS"), Some("CIFS")));
        // ext4, tmpfs
        assert_eq!((network(0xef53), network(0x0102_1994)), (None, None));
    }
}
