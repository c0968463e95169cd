//! The allocator of every program of ours, and how much memory a process uses.

/// Compared with that of the C library, the pipeline takes a seventh less CPU time with it, and what a burst needed goes back to
/// the system. `.cargo/config.toml` says how it behaves; `MALLOC_CONF` in the environment says otherwise.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Resident memory of this process in bytes, where the system tells.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
