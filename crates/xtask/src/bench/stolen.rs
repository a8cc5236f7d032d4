//! Processor time that a virtual machine asked for and its host gave to somebody else: with more than a few percent of
//! it, times say little about the program.

/// What `/proc/stat` has counted for all processors, in ticks.
#[derive(Debug, Clone, Copy)]
pub struct ProcessorTime {
    /// In which something ran, or would have.
    wanted: u64,
    /// Of that, what the host kept.
    stolen: u64,
}

impl ProcessorTime {
    /// As of now; none where it cannot be read.
    pub fn now() -> Option<Self> {
        read(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// The share that was stolen since then, in percent.
    pub fn stolen_since(self) -> Option<String> {
        let now = Self::now()?;
        let (wanted, stolen) = (now.wanted.saturating_sub(self.wanted), now.stolen.saturating_sub(self.stolen));
        Some(format!("{:.1} %", 100.0 * stolen as f64 / wanted.max(1) as f64))
    }
}

/// The first line: `cpu`, then user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)).
fn read(text: &str) -> Option<ProcessorTime> {
    let ticks: Vec<u64> = text.lines().next()?.split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, _, _, irq, softirq, stolen, ..] = ticks[..] else { return None };
    Some(ProcessorTime { wanted: user + nice + system + irq + softirq + stolen, stolen })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_asked_for() {
        let read = read("cpu  10 20 30 4000 500 6 7 27 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n").unwrap();
        assert_eq!((read.wanted, read.stolen), (100, 27));
    }
}
