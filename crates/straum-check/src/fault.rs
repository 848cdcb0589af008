//! What goes wrong, and when: a schedule of faults that is a function of its seed. Never touches a
//! node or a network; it says what to do to them.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;

use crate::time::Nanos;

/// The faults that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Links between nodes are cut; clients and services stay reachable.
    Partition,
    /// Nodes end without warning (SIGKILL), and are started again.
    Kill,
    /// Nodes are halted where they are (SIGSTOP), and go on (SIGCONT).
    Pause,
    /// The services are in [`Trouble`], all of them, and recover.
    Service,
}

/// What services do instead of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// What they are asked is lost.
    Silent,
    /// They do what they are asked when they have recovered.
    Stalled,
    /// They refuse everything with error 11: it did not happen.
    Refusing,
    /// They do what they are asked and answer with error 13: nobody can know what happened.
    Unsure,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Partition, Self::Kill, Self::Pause, Self::Service]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| {
                format!("no fault {name:?}; there are partition, kill, pause and service")
            })
    }
}

impl Kind {
    /// Its name on the command line and in the history.
    pub fn name(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Service => "service",
        }
    }
}

/// A step of the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Cut all links between nodes of different groups.
    Cut(Vec<Vec<u32>>),
    /// Restore all links.
    Heal,
    /// Kill these nodes.
    Kill(Vec<usize>),
    /// Start again what was killed.
    Restart,
    /// Halt these nodes.
    Pause(Vec<usize>),
    /// Let halted nodes go on.
    Resume,
    /// Bring the services into trouble.
    Trouble(Trouble),
    /// Let the services recover.
    Recover,
}

impl Step {
    /// The fault that it begins or ends.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cut(_) | Self::Heal => Kind::Partition,
            Self::Kill(_) | Self::Restart => Kind::Kill,
            Self::Pause(_) | Self::Resume => Kind::Pause,
            Self::Trouble(_) | Self::Recover => Kind::Service,
        }
    }

    /// Whether it ends a fault.
    pub fn heals(&self) -> bool {
        matches!(self, Self::Heal | Self::Restart | Self::Resume | Self::Recover)
    }
}

/// Whom the step befalls: `n0 n1 | n2`; or what becomes of the services: `silent`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |nodes: &[u32]| -> String {
            nodes.iter().map(|node| format!("n{node}")).collect::<Vec<_>>().join(" ")
        };
        let befallen = match self {
            Self::Cut(groups) => {
                groups.iter().map(|group| names(group)).collect::<Vec<_>>().join(" | ")
            }
            Self::Kill(nodes) | Self::Pause(nodes) => {
                nodes.iter().map(|node| format!("n{node}")).collect::<Vec<_>>().join(" ")
            }
            Self::Trouble(trouble) => format!("{trouble:?}").to_lowercase(),
            Self::Heal | Self::Restart | Self::Resume | Self::Recover => String::new(),
        };
        f.write_str(&befallen)
    }
}

/// Each kind of fault comes and goes by itself: the time from one step to the next is uniform between
/// 0 and twice the interval.
#[derive(Debug)]
pub struct Schedule {
    lanes: Vec<Lane>,
    interval: Nanos,
    node_count: usize,
}

#[derive(Debug)]
struct Lane {
    kind: Kind,
    active: bool,
    next_at: Nanos,
    rng: Rng,
}

impl Schedule {
    /// Faults of these kinds, on average one step of each kind every `interval`. A partition needs two
    /// nodes; with one there is none.
    pub fn new(kinds: &[Kind], interval: Nanos, node_count: usize, seed: u64) -> Self {
        let mut kinds = kinds.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.retain(|kind| node_count > 1 || *kind != Kind::Partition);
        let lanes = kinds.into_iter().map(|kind| {
            let mut rng =
                Rng::with_seed(seed ^ (kind as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            Lane { kind, active: false, next_at: gap(&mut rng, interval), rng }
        });
        Self { lanes: lanes.collect(), interval, node_count }
    }

    /// Whether there is any fault to come.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// When the next step is due.
    pub fn next_due(&self) -> Option<Nanos> {
        self.lanes.iter().map(|lane| lane.next_at).min()
    }

    /// The next step that is due.
    pub fn take_due(&mut self, now: Nanos) -> Option<Step> {
        let lane =
            self.lanes.iter_mut().filter(|lane| lane.next_at <= now).min_by_key(|l| l.next_at)?;
        lane.next_at += gap(&mut lane.rng, self.interval);
        lane.active = !lane.active;
        let count = self.node_count;
        Some(match (lane.kind, lane.active) {
            (Kind::Partition, true) => Step::Cut(groups(&mut lane.rng, count)),
            (Kind::Partition, false) => Step::Heal,
            (Kind::Kill, true) => Step::Kill(victims(&mut lane.rng, count)),
            (Kind::Kill, false) => Step::Restart,
            (Kind::Pause, true) => Step::Pause(victims(&mut lane.rng, count)),
            (Kind::Pause, false) => Step::Resume,
            (Kind::Service, true) => Step::Trouble(trouble(&mut lane.rng)),
            (Kind::Service, false) => Step::Recover,
        })
    }
}

fn gap(rng: &mut Rng, interval: Nanos) -> Nanos {
    rng.u64(0..=interval.saturating_mul(2)).max(1)
}

/// One node, or some, or all.
fn victims(rng: &mut Rng, count: usize) -> Vec<usize> {
    let mut nodes: Vec<usize> = (0..count).collect();
    rng.shuffle(&mut nodes);
    let how_many = match rng.u32(..4) {
        0 => count,
        1 => rng.usize(1..=count),
        _ => 1,
    };
    nodes.truncate(how_many);
    nodes.sort_unstable();
    nodes
}

fn trouble(rng: &mut Rng) -> Trouble {
    match rng.u32(..4) {
        0 => Trouble::Silent,
        1 => Trouble::Stalled,
        2 => Trouble::Refusing,
        _ => Trouble::Unsure,
    }
}

/// One node and the rest, two halves, or everybody alone.
fn groups(rng: &mut Rng, count: usize) -> Vec<Vec<u32>> {
    let mut nodes: Vec<u32> = (0..).take(count).collect();
    rng.shuffle(&mut nodes);
    let mut groups: Vec<Vec<u32>> = match rng.u32(..4) {
        0 => nodes.iter().map(|&node| vec![node]).collect(),
        1 => nodes.chunks(count.div_ceil(2)).map(<[u32]>::to_vec).collect(),
        _ => vec![nodes[..1].to_vec(), nodes[1..].to_vec()],
    };
    for group in &mut groups {
        group.sort_unstable();
    }
    groups.sort_unstable();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    fn steps(kinds: &[Kind], node_count: usize, seed: u64) -> Vec<(Nanos, Step)> {
        let mut schedule = Schedule::new(kinds, SECOND, node_count, seed);
        let mut steps = Vec::new();
        while let Some(at) = schedule.next_due().filter(|&at| at < 500 * SECOND) {
            steps.push((at, schedule.take_due(at).unwrap()));
        }
        steps
    }

    #[test]
    fn a_seed_is_a_schedule() {
        let kinds = [Kind::Kill, Kind::Pause, Kind::Partition];
        assert_eq!(steps(&kinds, 5, 1), steps(&kinds, 5, 1));
        assert_ne!(steps(&kinds, 5, 1), steps(&kinds, 5, 2));
    }

    #[test]
    fn each_fault_begins_and_ends_in_turn_about_once_an_interval() {
        let steps = steps(&[Kind::Kill, Kind::Partition], 3, 3);
        for kind in [Kind::Kill, Kind::Partition] {
            let of_kind: Vec<_> = steps.iter().filter(|(_, step)| step.kind() == kind).collect();
            assert!((400..600).contains(&of_kind.len()), "{}", of_kind.len());
            for (index, (_, step)) in of_kind.iter().enumerate() {
                assert_eq!(step.heals(), index % 2 == 1);
            }
        }
    }

    #[test]
    fn a_node_alone_cannot_be_partitioned() {
        assert!(Schedule::new(&[Kind::Partition], SECOND, 1, 1).is_empty());
    }

    #[test]
    fn a_partition_names_every_node_once() {
        for (_, step) in steps(&[Kind::Partition], 5, 4) {
            if let Step::Cut(groups) = step {
                assert!(groups.len() > 1);
                let mut nodes: Vec<u32> = groups.concat();
                nodes.sort_unstable();
                assert_eq!(nodes, [0, 1, 2, 3, 4]);
            }
        }
    }
}
