//! The processor time that a function's memory buys.
//!
//! Lambda gives a function one processor at 1,769 MB, and less in proportion
//! (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>); its init runs with all of one. Here a control group
//! of Linux's holds a process back from its first `/next` on, where this user may make one.

use std::fs;
use std::path::{Path, PathBuf};

const MB_OF_A_PROCESSOR: u32 = 1769;
const MB_OF_A_FUNCTION: u32 = 256;
/// In microseconds: Lambda's own period is not published; short ones keep a pause from hiding in it.
const PERIOD: u32 = 20_000;

/// A control group with a function's share.
#[derive(Debug)]
pub struct Share {
    group: PathBuf,
}

impl Share {
    /// Makes it; none where that cannot be done.
    pub fn make() -> Option<Self> {
        let quota = PERIOD * MB_OF_A_FUNCTION / MB_OF_A_PROCESSOR;
        let name = format!("koala-start-{}", std::process::id());
        let one = |root: &str, files: &[(&str, String)]| {
            let group = Path::new(root).join(&name);
            fs::create_dir(&group).ok()?;
            let share = Self { group };
            files.iter().all(|(file, text)| fs::write(share.group.join(file), text).is_ok()).then_some(share)
        };
        one("/sys/fs/cgroup/cpu", &[("cpu.cfs_period_us", PERIOD.to_string()), ("cpu.cfs_quota_us", quota.to_string())])
            .or_else(|| one("/sys/fs/cgroup", &[("cpu.max", format!("{quota} {PERIOD}"))]))
    }

    /// Holds a process back from now on.
    pub fn hold(&self, process: u32) -> std::io::Result<()> {
        fs::write(self.group.join("cgroup.procs"), process.to_string())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // It can be removed when its last process has ended; that it stays is no harm.
        let _ = fs::remove_dir(&self.group);
    }
}
