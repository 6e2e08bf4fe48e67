//! Whether a file system tells of all changes.

use std::path::Path;

/// Whether files in `folder` can change without an event: other machines, or programs below the
/// file system, write to it too. What is written here through it makes events all the same.
#[cfg(target_os = "linux")]
pub(crate) fn is_shared(folder: &Path) -> bool {
    const FUSE: i64 = 0x6573_5546;
    /// `f_type` in statfs(2), as `linux/magic.h` and the file systems' own sources have it.
    const SHARED: [i64; 15] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB 2
        0x0102_1997, // 9p
        0x00c3_6400, // Ceph
        0x5346_414f, // AFS
        0x6b41_4653, // the kernel's AFS
        0x7375_7245, // Coda
        0x786f_4256, // VirtualBox' shared folders
        0xbacb_acbc, // VMware's
        0x7c7c_6673, // Parallels'
        0x0bd0_0bd0, // Lustre
        0x4750_4653, // GPFS
        0x1983_0326, // BeeGFS
    ];
    let Ok(found) = rustix::fs::statfs(folder) else {
        return false;
    };
    // Of some magic numbers the kernel may have extended the sign.
    let kind = found.f_type & 0xffff_ffff;
    SHARED.contains(&kind) || kind == FUSE && !has_block_device(folder)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_shared(_folder: &Path) -> bool {
    false
}

/// NTFS and the like by FUSE are on a disk of this machine.
#[cfg(target_os = "linux")]
fn has_block_device(folder: &Path) -> bool {
    rustix::fs::stat(folder).is_ok_and(|found| rustix::fs::major(found.st_dev) != 0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn temporary_folders_and_proc_are_this_machine_s_own() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_shared(dir.path()));
        assert!(!is_shared(Path::new("/proc")));
        assert!(!is_shared(Path::new("/dev/shm")));
        assert!(!is_shared(Path::new("/does/not/exist")));
    }
}
