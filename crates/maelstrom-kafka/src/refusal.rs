//! Why a request is refused, in the words of Maelstrom's protocol. Every code here but one is definite:
//! it never stands for something that may have happened all the same.
//!
//! Source: Maelstrom's `doc/protocol.md`, "Errors".

/// Maelstrom's error codes, those that this node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The node does not support this request.
    NotSupported = 10,
    /// The node cannot do it now; a later try may succeed.
    TemporarilyUnavailable = 11,
    /// The request does not have the form that its type demands.
    MalformedRequest = 12,
    /// Nobody may rely on what happened: the only code here that is not definite.
    Crash = 13,
    /// The request contradicts what the node already is.
    PreconditionFailed = 22,
}

/// A request that was not carried out, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// For the person who reads it: what is wrong, and what was expected.
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn no_name_yet() -> Self {
        let text = "this node has no name yet: send it an init request first";
        Self::new(Code::TemporarilyUnavailable, text)
    }

    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self::new(Code::MalformedRequest, text)
    }
}
