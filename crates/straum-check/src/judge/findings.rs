//! Collects anomalies: counts all of them, keeps the earliest few of each kind. Never decides what is
//! one. However many there are, it stays small, and it words only what it keeps.

use super::names::{AnomalyName, NAMES};
use super::{Anomaly, EXAMPLES, Finding};
use crate::history::{History, KeyId};
use crate::time::Nanos;

pub(super) struct Findings<'h> {
    history: &'h History,
    /// By kind.
    kept: [Kept; NAMES.len()],
}

#[derive(Default)]
struct Kept {
    count: u64,
    /// At most [`EXAMPLES`], the earliest first; of those of one time, the first found.
    examples: Vec<Anomaly>,
}

impl<'h> Findings<'h> {
    pub(super) fn new(history: &'h History) -> Self {
        Self { history, kept: Default::default() }
    }

    /// Adds an anomaly that showed when the last of its evidence was complete.
    pub(super) fn add(
        &mut self,
        kind: AnomalyName,
        key: Option<KeyId>,
        evidence: &[usize],
        text: impl FnOnce() -> String,
    ) {
        let completed_ns =
            evidence.iter().map(|&index| self.history.operations[index].completed_ns);
        let at_ns = completed_ns.max().unwrap_or_default();
        self.add_at(kind, at_ns, || {
            let mut evidence = evidence.to_vec();
            evidence.sort_unstable();
            evidence.dedup();
            Anomaly { text: text(), key, at_ns, evidence }
        });
    }

    /// Adds an anomaly that showed at a time of its own.
    pub(super) fn add_at(
        &mut self,
        kind: AnomalyName,
        at_ns: Nanos,
        make: impl FnOnce() -> Anomaly,
    ) {
        let kept = &mut self.kept[kind as usize];
        kept.count += 1;
        let place = kept.examples.partition_point(|earlier| earlier.at_ns <= at_ns);
        if place < EXAMPLES {
            kept.examples.truncate(EXAMPLES - 1);
            kept.examples.insert(place, make());
        }
    }

    /// Worst first.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        let all = NAMES.into_iter().zip(self.kept);
        let found = all.filter(|(_, kept)| kept.count > 0);
        found
            .map(|((_, name, meaning), Kept { count, examples })| Finding {
                name,
                meaning,
                count,
                examples,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{AnomalyName, EXAMPLES, Findings};
    use crate::history::History;
    use crate::judge::Anomaly;

    #[test]
    fn a_flood_is_counted_and_its_beginning_kept() {
        let history = History::default();
        let mut findings = Findings::new(&history);
        for at_ns in (0..1_000).rev() {
            let text = String::new();
            findings.add_at(AnomalyName::Unseen, at_ns, || Anomaly {
                text,
                key: None,
                at_ns,
                evidence: Vec::new(),
            });
        }
        let [finding] = findings.into_findings().try_into().unwrap();
        assert_eq!(finding.count, 1_000);
        let kept: Vec<_> = finding.examples.iter().map(|example| example.at_ns).collect();
        assert_eq!(kept, (0..EXAMPLES as u64).collect::<Vec<_>>());
    }
}
