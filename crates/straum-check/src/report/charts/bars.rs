//! Messages by kind, as bars. Never more than fit: the rest is one bar.

use std::fmt::Write;

use crate::measure::share;
use crate::report::Run;
use crate::report::figures::{count, percent, three_digits};
use crate::report::html::{escape, figure};

/// How many kinds have a bar of their own.
const KINDS: usize = 16;

/// The figure; empty if no messages were counted.
pub(in crate::report) fn messages_by_kind(run: &Run<'_>) -> String {
    let mut kinds: Vec<(&str, u64)> =
        run.counts.by_kind.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(*count), *kind));
    let rest: u64 = kinds.iter().skip(KINDS).map(|(_, count)| count).sum();
    kinds.truncate(KINDS);
    if rest > 0 {
        kinds.push(("all others", rest));
    }
    let Some(most) = kinds.iter().map(|(_, count)| *count).max() else { return String::new() };
    let rows: String = kinds.iter().map(|(kind, number)| row(run, kind, *number, most)).collect();
    let table = format!("<table class=\"bars\">{rows}</table>");
    figure("Messages by kind", "<span class=\"note\">per operation</span>", &table)
}

fn row(run: &Run<'_>, kind: &str, number: u64, most: u64) -> String {
    let mut html = format!("<tr><th scope=\"row\">{}</th>", escape(kind));
    let width = share(number, most).unwrap_or(0.0) * 100.0;
    let _ = write!(
        html,
        "<td class=\"track\"><i style=\"width:{width:.2}%\" title=\"{}\"></i></td>\
         <td class=\"number\">{}</td><td class=\"number note\">{}</td></tr>",
        share(number, run.counts.all).map_or(String::new(), percent),
        count(number),
        run.per_operation(number).map_or(String::new(), three_digits)
    );
    html
}
