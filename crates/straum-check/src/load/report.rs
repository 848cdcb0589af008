//! Tells the figures, in a table or as JSON. Never measures anything itself.

use std::io::{self, Write as _};
use std::iter;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::load::args::{Load, Mode};
use crate::load::figures::{Figure, median};
use crate::load::machine::Machine;
use crate::load::node::Who;
use crate::load::{catch_up, tail};
use crate::tell::command;

/// One figure of one mode: the medians.
pub(crate) struct Row {
    mode: Mode,
    figure: &'static str,
    node: f64,
    beside: Option<f64>,
    floor: f64,
}

impl Row {
    fn cells(&self) -> [String; 7] {
        let ratio = |to: f64| format!("{:.2}", self.node / to);
        [
            self.mode.name().to_owned(),
            self.figure.to_owned(),
            short(self.node),
            self.beside.map(short).unwrap_or_default(),
            short(self.floor),
            ratio(self.floor),
            self.beside.map(ratio).unwrap_or_default(),
        ]
    }
}

/// The figures of all runs of one mode.
#[derive(Default)]
pub(crate) struct Runs {
    node: Vec<Vec<Figure>>,
    beside: Vec<Vec<Figure>>,
    floor: Vec<Vec<Figure>>,
}

impl Runs {
    pub(crate) fn of(&mut self, who: Who) -> &mut Vec<Vec<Figure>> {
        match who {
            Who::Node => &mut self.node,
            Who::Beside => &mut self.beside,
            Who::Floor => &mut self.floor,
        }
    }

    pub(crate) fn rows(&self, mode: Mode) -> Vec<Row> {
        let across = |runs: &[Vec<Figure>], wanted: &str| {
            let figures = runs.iter().flatten().filter(|(name, _)| *name == wanted);
            median(figures.map(|(_, value)| *value).collect())
        };
        let figures = self.node.first().into_iter().flatten();
        let row = |&(figure, _): &Figure| {
            let (node, floor) = (across(&self.node, figure)?, across(&self.floor, figure)?);
            Some(Row { mode, figure, node, beside: across(&self.beside, figure), floor })
        };
        figures.filter_map(row).collect()
    }
}

pub(crate) fn tell(asked: &Load, rows: &[Row]) -> Result<()> {
    let machine = Machine::this();
    let text = if asked.json {
        format!("{}\n", to_json(asked, &machine, rows))
    } else {
        format!("{}\n\n{}", machine.line(), to_table(rows))
    };
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write the report")
}

fn to_table(rows: &[Row]) -> String {
    let header = ["mode", "figure", "node", "beside", "floor", "ratio", "to beside"];
    let beside = rows.iter().any(|row| row.beside.is_some());
    let cells = iter::once(header.map(ToOwned::to_owned)).chain(rows.iter().map(Row::cells));
    cells.map(|cells| line(&cells, beside)).collect()
}

fn line(cells: &[String; 7], with_beside: bool) -> String {
    let [mode, figure, node, beside, floor, ratio, to_beside] = cells;
    let begins = format!("{mode:8}  {figure:17}  {node:>10}");
    if with_beside {
        format!("{begins}  {beside:>10}  {floor:>10}  {ratio:>7}  {to_beside:>10}\n")
    } else {
        format!("{begins}  {floor:>10}  {ratio:>7}\n")
    }
}

fn to_json(asked: &Load, machine: &Machine, rows: &[Row]) -> Value {
    let mut modes = Map::new();
    for row in rows {
        let mut figures =
            json!({"node": row.node, "floor": row.floor, "ratio": row.node / row.floor});
        if let Some(beside) = row.beside {
            figures["beside"] = beside.into();
            figures["ratio_to_beside"] = (row.node / beside).into();
        }
        modes.entry(row.mode.name()).or_insert_with(|| json!({}))[row.figure] = figures;
    }
    json!({
        "machine": {"cores": machine.cores, "cpu": machine.cpu, "kernel": machine.kernel},
        "command": command(),
        "runs": asked.runs,
        "keys": asked.keys,
        "message_bytes": asked.message_bytes,
        "requests": asked.requests,
        "window": asked.window,
        "round_trips": asked.round_trips,
        "stored": {
            "tail": asked.stored.map_or(tail::STORED, u32::from),
            "catch-up": asked.stored.map_or(catch_up::STORED, u32::from),
        },
        "modes": modes,
    })
}

/// About four digits.
pub(crate) fn short(value: f64) -> String {
    match value {
        1000.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(beside: &[f64]) -> Vec<Row> {
        let runs = |values: &[f64]| {
            values.iter().map(|value| vec![("rate_per_s", value * 1e6), ("b", *value)]).collect()
        };
        let (node, floor) = (runs(&[3.0, 1.0, 2.0]), runs(&[4.0, 9.0, 4.0]));
        Runs { node, beside: runs(beside), floor }.rows(Mode::Flood)
    }

    fn table(rows: &[Row]) -> Vec<String> {
        to_table(rows).lines().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn the_table_has_a_line_for_each_figure_with_the_ratio_of_the_medians() {
        assert_eq!(
            table(&example(&[])),
            [
                "mode      figure                   node       floor    ratio",
                "flood     rate_per_s            2000000     4000000     0.50",
                "flood     b                       2.000       4.000     0.50",
            ]
        );
    }

    #[test]
    fn another_node_has_its_column_and_its_ratio() {
        assert_eq!(
            table(&example(&[1.0, 8.0, 8.0])),
            [
                "mode      figure                   node      beside       floor    ratio   to beside",
                "flood     rate_per_s            2000000     8000000     4000000     0.50        0.25",
                "flood     b                       2.000       8.000       4.000     0.50        0.25",
            ]
        );
    }
}
