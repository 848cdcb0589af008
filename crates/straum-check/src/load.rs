//! `straum-check load`: measures a node that speaks Maelstrom's `kafka` workload, as a whole process
//! over pipes, beside a floor that does no work. Never looks inside the node, or at what it is judged by.

pub(crate) mod args;
mod drive;
pub(crate) mod floor;
mod node;
mod pin;
mod replies;
mod report;
mod requests;
mod stats;
mod watchdog;

pub(crate) use report::run;
