//! Where documents are: JSON values under names, absent ones being null. Never knows what they mean.

pub(crate) mod lin_kv;
pub(crate) mod memory;

/// Where a node keeps its documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Storage {
    /// In the process: correct for a single node that is never killed
    #[default]
    Memory,
    /// In Maelstrom's lin-kv service: correct for several nodes, through partitions and kills
    LinKv,
}
