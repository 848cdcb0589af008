//! Bodies of requests, as JSON text. Never reads one.

use std::fmt::Write;

use crate::history::{KeyId, Offset};

/// `init`, for node `node` of `node_count`.
pub(crate) fn init(msg_id: u64, node: usize, node_count: usize) -> String {
    let ids: Vec<String> = (0..node_count).map(|number| format!("\"n{number}\"")).collect();
    format!(
        r#"{{"type":"init","msg_id":{msg_id},"node_id":"n{node}","node_ids":[{}]}}"#,
        ids.join(",")
    )
}

/// `send`.
pub(crate) fn send(msg_id: u64, key: KeyId, value: u64) -> String {
    format!(r#"{{"type":"send","msg_id":{msg_id},"key":"{key}","msg":{value}}}"#)
}

/// `poll`.
pub(crate) fn poll(msg_id: u64, from: &[(KeyId, Offset)]) -> String {
    with_offsets("poll", msg_id, from)
}

/// `commit_offsets`.
pub(crate) fn commit(msg_id: u64, offsets: &[(KeyId, Offset)]) -> String {
    with_offsets("commit_offsets", msg_id, offsets)
}

/// `list_committed_offsets`.
pub(crate) fn list(msg_id: u64, keys: &[KeyId]) -> String {
    let mut body = format!(r#"{{"type":"list_committed_offsets","msg_id":{msg_id},"keys":["#);
    for (index, key) in keys.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Writing to a string does not fail, here and below.
        write!(body, r#"{comma}"{key}""#).ok();
    }
    body.push_str("]}");
    body
}

fn with_offsets(kind: &str, msg_id: u64, offsets: &[(KeyId, Offset)]) -> String {
    let mut body = format!(r#"{{"type":"{kind}","msg_id":{msg_id},"offsets":{{"#);
    for (index, (key, offset)) in offsets.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(body, r#"{comma}"{key}":{offset}"#).ok();
    }
    body.push_str("}}");
    body
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[test]
    fn bodies_are_what_the_protocol_says() {
        let parsed = |body: String| serde_json::from_str::<Value>(&body).unwrap();
        assert_eq!(
            parsed(super::init(1, 0, 2)),
            json!({"type": "init", "msg_id": 1, "node_id": "n0", "node_ids": ["n0", "n1"]})
        );
        assert_eq!(
            parsed(super::send(2, 7, 42)),
            json!({"type": "send", "msg_id": 2, "key": "7", "msg": 42})
        );
        assert_eq!(
            parsed(super::poll(3, &[(7, 0), (8, 5)])),
            json!({"type": "poll", "msg_id": 3, "offsets": {"7": 0, "8": 5}})
        );
        assert_eq!(
            parsed(super::commit(4, &[])),
            json!({"type": "commit_offsets", "msg_id": 4, "offsets": {}})
        );
        assert_eq!(
            parsed(super::list(5, &[7, 8])),
            json!({"type": "list_committed_offsets", "msg_id": 5, "keys": ["7", "8"]})
        );
    }
}
