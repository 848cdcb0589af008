//! The names of the anomalies, worst first, as `docs/anomalies.md` defines them.

use crate::history::Rule;

/// What can be found. The order is that of the report, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnomalyName {
    LostWrite,
    Unseen,
    Vanished,
    AbortedRead,
    Invented,
    InconsistentOffsets,
    Duplicate,
    Unprocessed,
    CommitMissing,
    CommitWentBack,
    CommitNeverAsked,
    IntPollSkip,
    PollSkip,
    IntNonmonotonicPoll,
    NonmonotonicPoll,
    NonmonotonicSend,
    NotJson,
    MalformedEnvelope,
    UnknownDestination,
    LateReply,
    MalformedReply,
    UnexpectedReply,
    NeverSucceeds,
    Availability,
}

/// Each kind once, in its order, with its name and its meaning.
pub(super) const NAMES: [(AnomalyName, &str, &str); 24] = [
    (AnomalyName::LostWrite, "lost-write", "An acknowledged message is gone."),
    (AnomalyName::Unseen, "unseen", "An acknowledged message was never there to be read."),
    (AnomalyName::Vanished, "vanished", "A message that was read is not there at the end."),
    (AnomalyName::AbortedRead, "G1a", "A poll returned what a failed send wrote."),
    (AnomalyName::Invented, "invented", "A poll returned what nobody had sent."),
    (AnomalyName::InconsistentOffsets, "inconsistent-offsets", "Two messages stand at one offset."),
    (AnomalyName::Duplicate, "duplicate", "A message stands at two offsets."),
    (
        AnomalyName::Unprocessed,
        "unprocessed",
        "A consumer group never got an acknowledged message.",
    ),
    (AnomalyName::CommitMissing, "commit-missing", "An acknowledged commit is gone at the end."),
    (AnomalyName::CommitWentBack, "commit-went-back", "A client saw a committed offset go back."),
    (
        AnomalyName::CommitNeverAsked,
        "commit-never-asked",
        "An offset is committed that nobody committed.",
    ),
    (
        AnomalyName::IntPollSkip,
        "int-poll-skip",
        "A poll left out a message in the middle of its answer.",
    ),
    (
        AnomalyName::PollSkip,
        "poll-skip",
        "A poll began beyond a message it should have begun with.",
    ),
    (
        AnomalyName::IntNonmonotonicPoll,
        "int-nonmonotonic-poll",
        "Offsets go back within an answer.",
    ),
    (
        AnomalyName::NonmonotonicPoll,
        "nonmonotonic-poll",
        "A poll began below where it should have.",
    ),
    (
        AnomalyName::NonmonotonicSend,
        "nonmonotonic-send",
        "A client's later send got a lower offset.",
    ),
    (AnomalyName::NotJson, Rule::NotJson.name(), "A node wrote a line that is not a JSON object."),
    (
        AnomalyName::MalformedEnvelope,
        Rule::MalformedEnvelope.name(),
        "A node wrote an object that is no envelope.",
    ),
    (
        AnomalyName::UnknownDestination,
        Rule::UnknownDestination.name(),
        "A node wrote to somebody who never was.",
    ),
    (
        AnomalyName::LateReply,
        Rule::LateReply.name(),
        "A node replied to a client that had given up.",
    ),
    (
        AnomalyName::MalformedReply,
        Rule::MalformedReply.name(),
        "A reply does not have the fields that it must have.",
    ),
    (
        AnomalyName::UnexpectedReply,
        Rule::UnexpectedReply.name(),
        "A node replied to what was not asked, or twice.",
    ),
    (
        AnomalyName::NeverSucceeds,
        "never-succeeds",
        "A kind of operation was tried and never succeeded.",
    ),
    (AnomalyName::Availability, "availability", "Fewer operations succeeded than were demanded."),
];

impl From<Rule> for AnomalyName {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::NotJson => Self::NotJson,
            Rule::MalformedEnvelope => Self::MalformedEnvelope,
            Rule::UnknownDestination => Self::UnknownDestination,
            Rule::LateReply => Self::LateReply,
            Rule::MalformedReply => Self::MalformedReply,
            Rule::UnexpectedReply => Self::UnexpectedReply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NAMES, Rule};

    #[test]
    fn the_table_is_in_the_order_of_the_kinds() {
        for (index, (kind, ..)) in NAMES.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    #[test]
    fn a_rule_has_the_same_name_in_a_stored_history() {
        let names = NAMES.iter().map(|(_, name, _)| *name);
        let rules = names.filter_map(|name| serde_json::from_value::<Rule>(name.into()).ok());
        assert_eq!(rules.count(), 6);
    }

    #[test]
    fn the_page_defines_each_in_the_same_order() {
        let page = include_str!("../../../../docs/anomalies.md");
        let defined: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## `")).collect();
        let names: Vec<_> = NAMES.iter().map(|(_, name, _)| format!("{name}`")).collect();
        assert_eq!(defined, names);
    }
}
