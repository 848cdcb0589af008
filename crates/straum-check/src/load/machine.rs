//! What figures were taken on. Never fails: what is not known is called so.

use std::{fs, thread};

pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) kernel: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let unknown = || "unknown".to_owned();
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        Self {
            cores: thread::available_parallelism().map_or(0, usize::from),
            cpu: cpu_model(&read("/proc/cpuinfo")).unwrap_or_else(unknown),
            kernel: Some(kernel).filter(|name| !name.is_empty()).unwrap_or_else(unknown),
        }
    }

    pub(crate) fn line(&self) -> String {
        format!("{} cores, {}, Linux {}", self.cores, self.cpu, self.kernel)
    }
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(model.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_named() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2GHz\n\nmodel name\t: Other\n";
        assert_eq!(cpu_model(cpuinfo).unwrap(), "Some CPU @ 2GHz");
        assert_eq!(cpu_model(""), None);
    }
}
