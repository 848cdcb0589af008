//! A sequence diagram: a line for each party, an arrow for each message, time downwards, not to
//! scale. Never chooses what it shows.

mod retold;
mod rows;
pub(super) mod sequence;

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use self::rows::{Row, What, arrival, rows};
use self::sequence::Shown;
use super::figures::{moment, shorten, span};
use super::html::escape;
use crate::history::Fault;
use crate::measure::float;
use crate::network::{Address, Envelope};
use crate::time::seconds;

/// Where the moments stand.
const MARGIN: f64 = 84.0;
/// What the parties share, if they are not too many.
const WIDTH: f64 = 1_030.0;
const CHAR: f64 = 6.7;
/// Less than this of the fields says nothing.
const LEAST_FIELDS: usize = 4;
/// Before a label and after it, so that it keeps off the lifelines.
const GAP: f64 = 9.0;

/// The diagram; empty without messages.
pub(super) fn svg(sequence: &[Shown], faults: &[Fault]) -> String {
    if sequence.is_empty() {
        return String::new();
    }
    let columns = Columns::of(sequence);
    let (rows, height) = rows(sequence, faults);
    let mut drawn = String::new();
    let mut told = String::new();
    for row in &rows {
        match &row.what {
            What::Fault(text) => mark(&mut drawn, &columns, row.y, text, "fault-mark"),
            What::Pause(text) => mark(&mut drawn, &columns, row.y, text, "pause-mark"),
            What::Sent(i) => {
                let to = arrival(&rows, *i).unwrap_or(row.y);
                moment_at(&mut drawn, row, &mut told);
                arrow(&mut drawn, &columns, &sequence[*i], row.y, to);
            }
            What::Received(_) => {}
        }
    }
    let width = columns.width();
    format!(
        "<svg class=\"diagram\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" aria-label=\"Messages in time\">{}{drawn}</svg>",
        columns.lifelines(height)
    )
}

/// The parties, from left to right: clients, nodes, services.
struct Columns {
    places: BTreeMap<(u8, Address), f64>,
    step: f64,
}

impl Columns {
    fn of(sequence: &[Shown]) -> Self {
        let mut places = BTreeMap::new();
        for Shown { message, .. } in sequence {
            for address in [message.envelope.src, message.envelope.dest] {
                places.insert((rank(address), address), 0.0);
            }
        }
        let step = (WIDTH / float(places.len() as u64)).clamp(120.0, 230.0);
        let mut x = MARGIN + step / 4.0;
        for place in places.values_mut() {
            *place = x;
            x += step;
        }
        Self { places, step }
    }

    fn x(&self, address: Address) -> f64 {
        self.places.get(&(rank(address), address)).copied().unwrap_or(MARGIN)
    }

    fn width(&self) -> f64 {
        let last = self.places.values().copied().fold(MARGIN, f64::max);
        last + self.step / 4.0 + 20.0
    }

    fn lifelines(&self, height: f64) -> String {
        let mut svg = String::new();
        for ((rank, address), x) in &self.places {
            let class = ["client", "node", "service"][usize::from(*rank)];
            let _ = write!(
                svg,
                "<path class=\"lifeline\" d=\"M{x:.1} {:.1}V{height:.1}\"/>\
                 <rect class=\"party {class}\" x=\"{:.1}\" y=\"4\" width=\"64\" height=\"24\" rx=\"6\"/>\
                 <text class=\"party\" x=\"{x:.1}\" y=\"20\" text-anchor=\"middle\">{address}</text>",
                28.0,
                x - 32.0
            );
        }
        svg
    }
}

fn rank(address: Address) -> u8 {
    match address {
        Address::Client(_) => 0,
        Address::Node(_) => 1,
        Address::Service(_) => 2,
    }
}

/// The moment beside a row, unless it is the one that was told last.
fn moment_at(svg: &mut String, row: &Row, told: &mut String) {
    let moment = format!("{:.4} s", seconds(row.at));
    if moment != *told {
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{moment}</text>",
            MARGIN - 10.0,
            row.y + 4.0
        );
        *told = moment;
    }
}

/// A line across, with a text.
fn mark(svg: &mut String, columns: &Columns, y: f64, text: &str, class: &str) {
    let _ = write!(
        svg,
        "<g class=\"{class}\"><path d=\"M{MARGIN} {y:.1}H{:.1}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
        columns.width(),
        MARGIN + 4.0,
        y - 4.0,
        escape(&shorten(text, 60))
    );
}

fn arrow(svg: &mut String, columns: &Columns, shown: &Shown, from_y: f64, to_y: f64) {
    let envelope = &shown.message.envelope;
    let (from_x, to_x) = (columns.x(envelope.src), columns.x(envelope.dest));
    let lost = shown.message.received_ns.is_none();
    let class = match (lost, shown.proves) {
        (true, _) => "lost",
        (false, true) => "proof",
        (false, false) => "plain",
    };
    let path = match (lost, envelope.src == envelope.dest) {
        (true, _) => lost_path(from_x, to_x, from_y),
        (false, true) => format!("M{from_x:.1} {from_y:.1}h24V{:.1}h-22", to_y.max(from_y + 8.0)),
        (false, false) => arrow_path(from_x, from_y, to_x, to_y),
    };
    let _ = write!(
        svg,
        "<g class=\"arrow {class}\"><title>{}</title><path d=\"{path}\"/>{}</g>",
        escape(&title(shown)),
        label(envelope, columns.step, from_x, to_x, from_y)
    );
}

/// A line with a head.
fn arrow_path(from_x: f64, from_y: f64, to_x: f64, to_y: f64) -> String {
    let (dx, dy) = (to_x - from_x, to_y - from_y);
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length * 8.0, dy / length * 8.0);
    let (back_x, back_y) = (to_x - ux, to_y - uy);
    format!(
        "M{from_x:.1} {from_y:.1}L{to_x:.1} {to_y:.1}M{:.1} {:.1}L{to_x:.1} {to_y:.1}L{:.1} {:.1}",
        back_x - uy / 2.0,
        back_y + ux / 2.0,
        back_x + uy / 2.0,
        back_y - ux / 2.0
    )
}

/// A line that ends in a cross half-way.
fn lost_path(from_x: f64, to_x: f64, y: f64) -> String {
    let x = f64::midpoint(from_x, to_x);
    let end_y = y + 6.0;
    format!(
        "M{from_x:.1} {y:.1}L{x:.1} {end_y:.1}M{:.1} {:.1}l10 10M{:.1} {:.1}l10 -10",
        x - 5.0,
        end_y - 5.0,
        x - 5.0,
        end_y + 5.0
    )
}

fn title(shown: &Shown) -> String {
    let message = &shown.message;
    let arrival = match message.received_ns {
        Some(received) => {
            format!("arrives after {}", span(received.saturating_sub(message.sent_ns)))
        }
        None => "lost".to_owned(),
    };
    let envelope = &message.envelope;
    let body = shorten(&envelope.body, 600);
    format!("{} to {}, {}, {arrival}\n{body}", envelope.src, envelope.dest, moment(message.sent_ns))
}

/// The message's kind and what it says, above the tail of its arrow and before the next lifeline.
fn label(envelope: &Envelope, step: f64, from_x: f64, to_x: f64, y: f64) -> String {
    let (kind, fields) = fitting(&envelope.body, most_chars(step - 2.0 * GAP));
    let (anchor, shift) = if to_x < from_x { ("end", -GAP) } else { ("start", GAP) };
    format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\"><tspan class=\"kind\">{}</tspan> {}\
         </text>",
        from_x + shift,
        y - 4.0,
        escape(&kind),
        escape(&fields)
    )
}

/// The kind and the fields of a body in at most so many characters, a space between them included.
fn fitting(body: &str, most_chars: usize) -> (String, String) {
    let (kind, fields) = described(body);
    let kind = shorten(&kind, most_chars);
    let room = most_chars.saturating_sub(kind.chars().count() + 1);
    let fields = if room < LEAST_FIELDS { String::new() } else { shorten(&fields, room) };
    (kind, fields)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few dozens")]
fn most_chars(room: f64) -> usize {
    (room / CHAR) as usize
}

/// The `type` of a body, and its other fields without what only ties messages together.
fn described(body: &str) -> (String, String) {
    let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(body) else {
        return ("?".to_owned(), body.to_owned());
    };
    let kind = fields.remove("type");
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or("?").to_owned();
    let told =
        fields.iter().filter(|(name, _)| !["msg_id", "in_reply_to"].contains(&name.as_str()));
    let told: Vec<String> = told
        .map(|(name, value)| format!("{name}={}", value.to_string().replace('"', "")))
        .collect();
    (kind, told.join(" "))
}

#[cfg(test)]
mod tests {
    use super::{described, fitting};

    #[test]
    fn a_label_is_never_longer_than_its_room() {
        let body = r#"{"type":"list_committed_offsets_ok","offsets":{"0":12345,"1":67890}}"#;
        for most in 1..80 {
            let (kind, fields) = fitting(body, most);
            let between = usize::from(!fields.is_empty());
            let length = kind.chars().count() + between + fields.chars().count();
            assert!(length <= most, "{kind} {fields}");
        }
        assert_eq!(fitting(body, 10).0, "list_comm…");
    }

    #[test]
    fn a_body_is_told_by_its_kind_and_what_it_says() {
        let body = r#"{"type":"send","msg_id":7,"key":"3","msg":41}"#;
        assert_eq!(described(body), ("send".to_owned(), "key=3 msg=41".to_owned()));
    }
}
