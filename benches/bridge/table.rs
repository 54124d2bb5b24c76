//! The table of figures: medians, and what each round gave.

use std::time::Duration;

use super::machine::ms;

/// One line of the table: a figure, its values in all rounds.
pub struct Row {
    pub what: String,
    pub unit: &'static str,
    pub target: &'static str,
    pub values: Vec<f64>,
}

/// The figures, in the order in which they were first measured.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds one round's value.
    pub fn add(&mut self, what: &str, unit: &'static str, target: &'static str, value: f64) {
        match self.0.iter_mut().find(|row| row.what == what) {
            Some(row) => row.values.push(value),
            None => self.0.push(Row { what: what.to_owned(), unit, target, values: vec![value] }),
        }
    }

    /// Adds p50, p99 and the worst of one round's times, with targets for the first two.
    pub fn add_times(&mut self, what: &str, targets: [&'static str; 2], times: &[Duration]) {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let at = |share: f64| sorted.get((sorted.len() as f64 * share) as usize).or(sorted.last());
        for (name, share, target) in
            [("p50", 0.50, targets[0]), ("p99", 0.99, targets[1]), ("worst", 1.0, "")]
        {
            if let Some(time) = at(share) {
                self.add(&format!("{what}, {name}"), "ms", target, ms(*time));
            }
        }
    }

    pub fn print(&self) {
        println!("\n| figure | median | unit | target | rounds |\n|---|---|---|---|---|");
        for row in &self.0 {
            let rounds: Vec<String> = row.values.iter().map(|value| shown(*value)).collect();
            let Row { what, unit, target, values } = row;
            println!("| {what} | {} | {unit} | {target} | {} |", shown(median(values)), rounds.join(" "));
        }
    }
}

/// Three digits that mean something.
fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
