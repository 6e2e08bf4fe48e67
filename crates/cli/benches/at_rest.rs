//! What the program costs when nothing happens: memory and processor time on a large tree.
//!
//! `cargo bench -p testsmith-cli --bench at_rest [-- FILES [FILES_PER_FOLDER]]`
//!
//! At the first start the tree has never been seen, and all of it is read. At the second it is known,
//! and compared by the files' entries alone. Before the third, what the kernel keeps of files is
//! dropped, which only root may do.

#![expect(clippy::disallowed_methods, reason = "rest is measured in real time")]
#![expect(clippy::disallowed_types, reason = "so is the start")]

#[path = "../../../tests/support.rs"]
mod support;

use std::io::Write as _;
use std::time::{Duration, Instant};

use support::processes::Usage;
use support::samples;
use support::world::World;
use testsmith_simulator::Script;

/// How long it is left alone.
const REST: Duration = Duration::from_secs(20);

fn main() -> std::io::Result<()> {
    let wanted = std::env::args().filter_map(|arg| arg.parse().ok());
    let wanted: Vec<usize> = wanted.collect();
    let files = wanted.first().copied().unwrap_or(100_000);
    let per_folder = wanted.get(1).copied().unwrap_or(20).max(1);
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let root = world.root();
    for number in 0..files {
        let folder = root.join(format!("d{}", number / per_folder));
        if number % per_folder == 0 {
            std::fs::create_dir(&folder)?;
        }
        let text = format!("package d\n\nfunc F{number}() {{}}\n");
        std::fs::write(folder.join(format!("f{number}.go")), text)?;
    }
    let mut out = std::io::stdout();
    for start in ["first start", "second start", "third start"] {
        if start == "third start" && !drop_caches() {
            writeln!(
                out,
                "no third start: only root may drop what the kernel keeps"
            )?;
            break;
        }
        let begun = Instant::now();
        let daemon = world.watch(&["--set", "watch.rescan_every=0s"]);
        let ready = begun.elapsed();
        let before = Usage::of(daemon.id());
        std::thread::sleep(REST);
        let after = Usage::of(daemon.id());
        let at_rest = after.processor.saturating_sub(before.processor);
        writeln!(
            out,
            "{start}, {files} files in {} folders: watching after {ready:.2?} and {:.2?} of processor \
             time; at rest {} MiB (peak {} MiB), {at_rest:.2?} of processor time in {REST:?}",
            files.div_ceil(per_folder),
            before.processor,
            after.resident >> 20,
            after.peak >> 20,
        )?;
        daemon.stop();
    }
    Ok(())
}

/// Whether the kernel has forgotten what it kept of files.
fn drop_caches() -> bool {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}
