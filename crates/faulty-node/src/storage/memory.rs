//! Documents in this process: they end with it. Never sends anything.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::task::Job;

/// Documents by name.
#[derive(Default)]
pub(crate) struct Memory {
    documents: BTreeMap<String, Value>,
}

impl Memory {
    /// Runs a job on its document.
    pub(crate) fn run(&mut self, job: &mut Job) {
        let name = job.document();
        if let Some(document) = self.documents.get_mut(&name) {
            job.run(document);
            return;
        }
        let mut document = Value::Null;
        if job.run(&mut document) {
            self.documents.insert(name, document);
        }
    }
}
