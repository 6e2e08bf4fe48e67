//! Where memory comes from.
//!
//! The C library's allocator gives threads arenas of their own and gives next to nothing of them back:
//! after a storm of 15,000 jobs 120 MiB stayed that nobody used. See `docs/design/memory.md`.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Has what is free go back to the system even while nothing allocates. It takes a thread, so that it
/// cannot be so from the start: a process of the sandbox must have one only.
pub(crate) fn return_when_idle() {
    // Where it cannot be had, as with musl, what is free goes back a little later.
    let _ = tikv_jemalloc_ctl::background_thread::write(true);
}
