//! The table of results: what was measured, what the floor took, what was aimed at.

use std::time::Duration;

use super::numbers::{Timings, ms};

/// What is aimed at.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// At most so many times the floor, median against median.
    Ratio(f64),
    /// The median at most this.
    Median(Duration),
    /// The 99th percentile at most this.
    P99(Duration),
    /// Nothing: it is only told.
    None,
}

/// One line.
#[derive(Debug)]
struct Row {
    what: String,
    count: String,
    median: String,
    p99: String,
    floor: String,
    ratio: String,
    target: String,
    met: &'static str,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds a line of timings, beside those of the floor where there is one.
    pub fn timings(&mut self, what: &str, ours: &Timings, floor: Option<&Timings>, target: Target) {
        let (Some(median), Some(p99)) = (ours.median(), ours.p99()) else { return };
        let base = floor.and_then(Timings::median);
        let ratio = base.map(|base| median.as_secs_f64() / base.as_secs_f64());
        let (aim, met) = match target {
            Target::Ratio(most) => (format!("<= {most}x"), ratio.map(|ratio| ratio <= most)),
            Target::Median(most) => (format!("<= {} ms", ms(most)), Some(median <= most)),
            Target::P99(most) => (format!("p99 <= {} ms", ms(most)), Some(p99 <= most)),
            Target::None => (String::new(), None),
        };
        self.0.push(Row {
            what: what.into(),
            count: ours.count().to_string(),
            median: ms(median),
            p99: ms(p99),
            floor: base.map(ms).unwrap_or_default(),
            ratio: ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            target: aim,
            met: yes_or_no(met),
        });
    }

    /// Adds a line with one value that is no time, with its aim in words.
    pub fn value(&mut self, what: &str, value: &str, target: &str, met: Option<bool>) {
        self.0.push(Row {
            what: what.into(),
            count: "1".into(),
            median: value.into(),
            p99: String::new(),
            floor: String::new(),
            ratio: String::new(),
            target: target.into(),
            met: yes_or_no(met),
        });
    }

    /// Prints it as a Markdown table.
    pub fn print(&self) {
        let head = ["what", "n", "median ms", "p99 ms", "floor ms", "ratio", "target", "met"];
        let cells: Vec<[&str; 8]> = self
            .0
            .iter()
            .map(|r| [&*r.what, &*r.count, &*r.median, &*r.p99, &*r.floor, &*r.ratio, &*r.target, r.met])
            .collect();
        let width = |column: usize| {
            let longest = cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            longest.max(head[column].len())
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let line = |row: &[&str; 8]| {
            let padded: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
            println!("| {} |", padded.join(" | "));
        };
        line(&head);
        println!("|{}|", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|"));
        cells.iter().for_each(line);
    }
}

fn yes_or_no(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    }
}
