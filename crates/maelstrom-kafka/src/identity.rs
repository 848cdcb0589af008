//! Who a node is: what its `init` says.

use std::collections::BTreeSet;

use crate::refusal::{Code, Refusal};
use crate::request::Body;

/// The longest node id, in bytes: with every byte escaped it is still a good name for a folder.
const MAX_NODE_ID_BYTES: usize = 80;

/// A node's own name, and those of all nodes, its own included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) node_id: String,
    pub(crate) node_ids: BTreeSet<String>,
}

impl Identity {
    /// What an `init` says.
    pub(crate) fn read(init: &Body<'_>) -> Result<Self, Refusal> {
        let node_id = init.node_id()?;
        if node_id.len() > MAX_NODE_ID_BYTES {
            let text = format!("field \"node_id\" has more than {MAX_NODE_ID_BYTES} bytes");
            return Err(Refusal::malformed(text));
        }
        let node_ids: BTreeSet<String> = init.node_ids()?.into_iter().collect();
        if !node_ids.contains(&node_id) {
            return Err(Refusal::malformed("field \"node_ids\" does not name the node_id"));
        }
        Ok(Self { node_id, node_ids })
    }

    /// The node's name as a JSON string: the `src` of all it says.
    pub(crate) fn src(&self) -> String {
        to_json(&self.node_id)
    }

    /// The same again is welcome, another is refused.
    pub(crate) fn same_as(&self, other: &Self) -> Result<(), Refusal> {
        if self == other {
            return Ok(());
        }
        let nodes: Vec<_> = self.node_ids.iter().map(String::as_str).collect();
        let text = format!(
            "this node is already {} of [{}]; start another process for another node",
            self.node_id,
            nodes.join(", ")
        );
        Err(Refusal::new(Code::PreconditionFailed, text))
    }
}

/// A text as a JSON string.
pub(crate) fn to_json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
