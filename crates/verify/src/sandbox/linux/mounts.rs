//! The run's own view of the file system.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sched::CloneFlags;
use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::network;
use super::shadow::{self, Shadow};
use crate::sandbox::types::{SandboxMode, SandboxSpec};
use crate::sandbox::wire::{Failure, Request, Step};

/// Devices a program may expect in `/dev`.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// A file with nothing in it, put over those that are not to be read. A device in their place would be more than nothing:
/// Go does not embed one, and other tools read plain files only.
const EMPTY: &str = "/dev/empty";

/// Of `/run`, kept: where some systems have their programs.
pub(super) const KEPT_IN_RUN: [&str; 3] =
    ["/run/current-system", "/run/wrappers", "/run/booted-system"];

/// Bytes that what a run writes to memory file systems may take, each: the smaller of this and the memory limit.
const MEMORY_FILES: u64 = 512 << 20;

/// What process 1 needs to mount `/proc`, and the last stage to give up the rest.
const FOR_INIT: [CapabilitySet; 3] = [
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::SETPCAP,
    CapabilitySet::SYS_RESOURCE,
];

/// What stands for the project.
pub(super) enum View {
    /// An overlay: the project itself, and what was written over it.
    Overlay { lower: OwnedFd, upper: OwnedFd },
    /// A copy.
    Copy(Shadow),
}

/// A mount to be put in its place.
enum Placed {
    /// An empty folder, or an empty file.
    Cover,
    /// Something that is prepared.
    Mount(OwnedFd),
}

/// Leaves the host's namespaces and builds the view.
pub(super) fn build(request: &Request) -> Result<View, Failure> {
    let walls = request.spec.mode != SandboxMode::Off;
    leave_host(walls).map_err(|error| Step::Namespaces.failed(error))?;
    if walls {
        // No wall: without it, only tests that start servers of their own fail. A service that may not open netlink
        // sockets cannot do it.
        network::loopback_up().ok();
    }
    let (project, view) = stage_project(request)?;
    let mut places = vec![(request.spec.root.clone(), Placed::Mount(project))];
    let step = |error: io::Error| Step::Namespaces.failed(error);
    if walls {
        places.extend(own_folders(&request.spec).map_err(step)?);
        let devices = own_devices().map_err(step)?;
        let read_only = make_read_only().map_err(step)?;
        if !read_only.is_empty() && request.spec.mode == SandboxMode::Required {
            let reason = format!("`{}` cannot be made read-only", read_only[0].display());
            return Err(Step::Namespaces.failed(reason));
        }
        cover_dev(devices, &request.spec).map_err(step)?;
        place(places, &request.covered, &request.spec).map_err(step)?;
    } else {
        for (path, mount) in places {
            if let Placed::Mount(mount) = mount {
                attach(&mount, &path).map_err(step)?;
            }
        }
    }
    keep_for_init().map_err(step)?;
    // Out of folders that are now covered.
    rustix::process::chdir("/").map_err(|error| step(error.into()))?;
    Ok(view)
}

fn leave_host(walls: bool) -> io::Result<()> {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    if walls {
        flags |= CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC;
    }
    match nix::sched::unshare(flags | CloneFlags::CLONE_NEWUSER) {
        Ok(()) => {
            let (user, group) = (user.as_raw(), group.as_raw());
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("{user} {user} 1\n"))?;
            fs::write("/proc/self/gid_map", format!("{group} {group} 1\n"))?;
        }
        // Root needs no user namespace to have the others, and gives up its capabilities later in any case.
        Err(error) => {
            let without = user.is_root().then(|| nix::sched::unshare(flags));
            if !matches!(without, Some(Ok(()))) {
                let reason = format!("leaving the namespaces: {error}");
                return Err(io::Error::other(reason));
            }
        }
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private)
        .map_err(|error| io::Error::other(format!("own mounts: {error}")))?;
    Ok(())
}

/// The project with the candidate's files in it, as a mount that has no place yet.
fn stage_project(request: &Request) -> Result<(OwnedFd, View), Failure> {
    match overlay(&request.spec) {
        Ok(staged) => Ok(staged),
        Err(failure) if request.spec.mode == SandboxMode::Required => Err(failure),
        Err(_) => {
            let copy = shadow::copy(request)?;
            let mount = clone_mount(copy.path()).map_err(|error| Step::Stage.failed(error))?;
            Ok((mount, View::Copy(copy)))
        }
    }
}

fn overlay(spec: &SandboxSpec) -> Result<(OwnedFd, View), Failure> {
    let step = |error: io::Error| Step::Namespaces.failed(format!("overlay: {error}"));
    let memory = memory_files(spec, 0o700).map_err(step)?;
    // An overlay takes its folders by path, so they need one for as long as it is made.
    attach(&memory, &spec.scratch).map_err(step)?;
    let made = overlay_at(spec);
    rustix::mount::unmount(&spec.scratch, UnmountFlags::DETACH).map_err(|e| step(e.into()))?;
    made
}

fn overlay_at(spec: &SandboxSpec) -> Result<(OwnedFd, View), Failure> {
    let step = |error: io::Error| Step::Namespaces.failed(format!("overlay: {error}"));
    let upper = spec.scratch.join("upper");
    let work = spec.scratch.join("work");
    fs::create_dir(&upper).map_err(step)?;
    fs::create_dir(&work).map_err(step)?;
    let mode = fs::metadata(&spec.root).map_err(step)?.permissions();
    fs::set_permissions(&upper, mode).map_err(step)?;
    shadow::write_candidates(spec, &upper)?;
    let lower = open_folder(&spec.root).map_err(step)?;
    let upper = open_folder(&upper).map_err(step)?;
    let work = open_folder(&work).map_err(step)?;
    let project = mount_overlay(&lower, &upper, &work).map_err(step)?;
    Ok((project, View::Overlay { lower, upper }))
}

fn mount_overlay(lower: &OwnedFd, upper: &OwnedFd, work: &OwnedFd) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, folder) in [("lowerdir", lower), ("upperdir", upper), ("workdir", work)] {
        // By descriptor, for a colon or a comma in a path would mean something else.
        let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
        rustix::mount::fsconfig_set_string(&context, key, path)?;
    }
    rustix::mount::fsconfig_set_flag(&context, "userxattr")?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// A file system in memory, as a mount that has no place yet.
fn memory_files(spec: &SandboxSpec, mode: u32) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let size = MEMORY_FILES.min(spec.limits.memory);
    rustix::mount::fsconfig_set_string(&context, "size", size.to_string())?;
    rustix::mount::fsconfig_set_string(&context, "mode", format!("{mode:o}"))?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// A second mount of what is at `path`.
fn clone_mount(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(CWD, path, flags)
        .map_err(|error| io::Error::other(format!("`{}`: {error}", path.display())))
}

fn attach(mount: &OwnedFd, path: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", CWD, path, flags)
        .map_err(|error| io::Error::other(format!("mounting `{}`: {error}", path.display())))
}

/// What stays writable, taken before the rest is made read-only and covered.
fn own_folders(spec: &SandboxSpec) -> io::Result<Vec<(PathBuf, Placed)>> {
    let kept = KEPT_IN_RUN.iter().map(PathBuf::from);
    std::iter::once(spec.scratch.clone())
        .chain(spec.writable.iter().cloned())
        .chain(kept.filter(|path| path.is_dir()))
        .map(|path| clone_mount(&path).map(|mount| (path, Placed::Mount(mount))))
        .collect()
}

fn own_devices() -> io::Result<Vec<(&'static str, OwnedFd)>> {
    DEVICES
        .iter()
        .map(|name| Ok((*name, clone_mount(&Path::new("/dev").join(name))?)))
        .collect()
}

/// Makes every mount read-only and returns those that would not.
fn make_read_only() -> io::Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    for path in mount_points(&fs::read_to_string("/proc/self/mountinfo")?) {
        // Process 1 mounts its own, read-only.
        if path.starts_with("/proc") || path.starts_with("/dev") {
            continue;
        }
        let Ok(status) = rustix::fs::statvfs(&path) else {
            // Below something this user cannot look into, or under another mount: no candidate gets there either.
            continue;
        };
        if status.f_flag.contains(StatVfsMountFlags::RDONLY) {
            continue;
        }
        let mut flags = MountFlags::BIND | MountFlags::RDONLY;
        for (has, keeps) in [
            (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
            (StatVfsMountFlags::NODEV, MountFlags::NODEV),
            (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        ] {
            if status.f_flag.contains(has) {
                flags |= keeps;
            }
        }
        if rustix::mount::mount_remount(&path, flags, "").is_err() {
            left.push(path);
        }
    }
    Ok(left)
}

/// The mount points in the kernel's table.
pub(super) fn mount_points(table: &str) -> Vec<PathBuf> {
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|field| {
            // Blanks, tabs, line ends and backslashes are written in octal.
            let plain = field
                .replace("\\040", " ")
                .replace("\\011", "\t")
                .replace("\\012", "\n")
                .replace("\\134", "\\");
            PathBuf::from(plain)
        })
        .collect()
}

/// A `/dev` with the harmless devices only: the real root may open its disks without any capability.
fn cover_dev(devices: Vec<(&'static str, OwnedFd)>, spec: &SandboxSpec) -> io::Result<()> {
    let dev = Path::new("/dev");
    attach(&memory_files(spec, 0o755)?, dev)?;
    for (name, device) in devices {
        File::create(dev.join(name))?;
        attach(&device, &dev.join(name))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        std::os::unix::fs::symlink(target, dev.join(name))?;
    }
    File::create(EMPTY)?;
    fs::create_dir(dev.join("shm"))?;
    attach(&memory_files(spec, 0o1777)?, &dev.join("shm"))?;
    seal(dev)
}

/// Puts every mount in its place, outer folders before what is in them.
fn place(
    mut places: Vec<(PathBuf, Placed)>,
    covered: &[PathBuf],
    spec: &SandboxSpec,
) -> io::Result<()> {
    let taken: Vec<PathBuf> = places.iter().map(|(path, _)| path.clone()).collect();
    let shared = [PathBuf::from("/run"), PathBuf::from("/tmp")];
    let covers = covered.iter().chain(&shared);
    for path in covers.filter(|path| path.exists() && !path.is_symlink()) {
        if !taken.contains(path) {
            places.push((path.clone(), Placed::Cover));
        }
    }
    places.sort_by_key(|(path, _)| path.components().count());
    let mut sealed = Vec::new();
    for (path, what) in places {
        match what {
            Placed::Mount(mount) => {
                fs::create_dir_all(&path)?;
                attach(&mount, &path)?;
            }
            Placed::Cover if path.is_dir() => {
                attach(&memory_files(spec, 0o1777)?, &path)?;
                if path != Path::new("/tmp") {
                    sealed.push(path);
                }
            }
            // Inside a folder that is covered as well, there is nothing left to cover.
            Placed::Cover if !path.exists() => {}
            Placed::Cover => attach(&clone_mount(Path::new(EMPTY))?, &path)?,
        }
    }
    sealed.iter().try_for_each(|path| seal(path))
}

fn seal(path: &Path) -> io::Result<()> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount_remount(path, flags, "")
        .map_err(|error| io::Error::other(format!("sealing `{}`: {error}", path.display())))
}

/// An ordinary user's capabilities end with an `exec` unless they are ambient.
fn keep_for_init() -> io::Result<()> {
    let wanted = FOR_INIT.into_iter().collect::<CapabilitySet>();
    let held = rustix::thread::capabilities(None)?;
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            inheritable: wanted,
            ..held
        },
    )?;
    for capability in FOR_INIT {
        rustix::thread::configure_capability_in_ambient_set(capability, true)?;
    }
    io::stdout().flush()
}
