//! Counting messages. Never stores one.

use super::{Address, Counts, Envelope, body_kind};

/// More kinds than any protocol has; a node that invents a kind for each message cannot fill memory.
const MAX_KINDS: usize = 256;

impl Counts {
    /// Counts a message that is sent.
    pub(super) fn add(&mut self, envelope: &Envelope) {
        self.all += 1;
        if between_servers(envelope) {
            self.servers += 1;
        } else {
            self.clients += 1;
        }
        self.add_kind(body_kind(&envelope.body).unwrap_or("(no type)"));
    }

    fn add_kind(&mut self, kind: &str) {
        if let Some(count) = self.by_kind.get_mut(kind) {
            *count += 1;
        } else {
            let kind = if self.by_kind.len() < MAX_KINDS { kind } else { "(others)" };
            *self.by_kind.entry(kind.to_owned()).or_default() += 1;
        }
    }
}

/// Whether no client has part in it.
pub(super) fn between_servers(envelope: &Envelope) -> bool {
    !matches!(envelope.src, Address::Client(_)) && !matches!(envelope.dest, Address::Client(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_by_who_has_part_and_by_kind() {
        let mut counts = Counts::default();
        for (src, dest, body) in [
            (Address::Client(1), Address::Node(0), r#"{"type":"send"}"#),
            (Address::Node(0), Address::Node(1), r#"{"type":"tell"}"#),
            (Address::Node(1), Address::Node(0), r#"{"type":"tell"}"#),
            (Address::Node(0), Address::Client(1), r#"{"kind":"send_ok"}"#),
        ] {
            counts.add(&Envelope { src, dest, body: body.into(), life: 0 });
        }
        assert_eq!((counts.all, counts.clients, counts.servers), (4, 2, 2));
        let kinds: Vec<_> = counts.by_kind.iter().map(|(kind, count)| (&**kind, *count)).collect();
        assert_eq!(kinds, [("(no type)", 1), ("send", 1), ("tell", 2)]);
    }

    #[test]
    fn kinds_without_end_are_counted_together() {
        let mut counts = Counts::default();
        (0..2 * MAX_KINDS).for_each(|number| counts.add_kind(&number.to_string()));
        assert_eq!(counts.by_kind.len(), MAX_KINDS + 1);
        assert_eq!(counts.by_kind["(others)"], MAX_KINDS as u64);
    }
}
