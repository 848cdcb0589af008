//! `straum-check` as parts: each can be understood, and tested, alone.
//!
//! - `workload`: generating, which operation a client does next, and what it makes of the answer.
//! - [`network`], `service`, [`cluster`]: carrying, from and to nodes that are processes or objects.
//! - [`fault`]: what goes wrong, and when.
//! - [`history`]: recording, what clients asked and got.
//! - [`judge`]: judging a history.
//! - [`measure`] and [`report`]: figures and series, and telling a person.
//! - [`run`]: one loop that ties them together, on whatever clock the cluster keeps.
//!
//! Nothing but [`cluster::process`] reads a clock or starts a process: a run on simulated nodes is a
//! function of its options and seed. Nothing here shares code with any node.

pub mod cluster;
pub mod fault;
pub mod history;
pub mod judge;
pub mod measure;
pub mod network;
pub mod report;
pub mod run;
pub(crate) mod service;
pub mod time;
pub(crate) mod workload;
