//! This process's memory, as the kernel counts it. Zero where it does not say.

/// Resident, in bytes.
pub(crate) fn resident() -> u64 {
    of("VmRSS:")
}

/// The most that ever was resident, in bytes.
pub(crate) fn peak() -> u64 {
    of("VmHWM:")
}

fn of(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// What this process took of the processors, ever, in milliseconds.
pub(crate) fn cpu_millis() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything: state, 10 fields, then user and system time in hundredths of a second.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}
