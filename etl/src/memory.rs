//! How much memory this process uses, and how it is kept from holding on to more than it needs.

/// Keeps the system's allocator to two arenas, one for each of a small machine's cores. By default it makes eight per core
/// and keeps what is freed in each of them: a stream of large Arrow batches then holds half as much memory again.
///
/// To be called before the first thread is started.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "mallopt has no safe binding")]
pub fn limit_arenas() {
    // SAFETY: mallopt takes two numbers and is called before there is a second thread.
    unsafe {
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, 2);
    }
}

/// Other allocators need no telling.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn limit_arenas() {}

/// Resident memory of this process in bytes, where the system tells.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
