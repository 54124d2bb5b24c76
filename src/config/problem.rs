//! Faults of a configuration: where, how bad, and one sentence with the way out.

use std::fmt;
use std::path::{Path, PathBuf};

/// One step of the way to a setting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.into())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way to a setting, shown as `networks.libera.servers[0].port`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place(pub Vec<Step>);

impl Place {
    /// This place, one step further in.
    pub fn with(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }

    /// Whether this place is `other` or lies within it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if nth == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The way to a setting, written as its steps: `place!["networks", id, "servers", 0]`.
macro_rules! place {
    ($($step:expr),* $(,)?) => {
        $crate::config::problem::Place(vec![$($crate::config::problem::Step::from($step)),*])
    };
}
pub(super) use place;

/// Whether the bridge can run with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The bridge will not start.
    Error,
    /// The bridge runs, and somebody should look.
    Warning,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub level: Level,
    pub file: PathBuf,
    /// Counted from 1; none when the file as a whole is meant.
    pub line: Option<usize>,
    /// Empty when the file as a whole is meant.
    pub place: Place,
    /// What is wrong and what to do, without a full stop.
    pub sentence: String,
}

impl Problem {
    /// An error about a whole file.
    pub fn of_file(file: &Path, sentence: impl Into<String>) -> Self {
        let (line, place) = (None, Place::default());
        Self { level: Level::Error, file: file.into(), line, place, sentence: sentence.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if self.level == Level::Warning {
            f.write_str(" warning:")?;
        }
        if !self.place.0.is_empty() {
            write!(f, " {}:", self.place)?;
        }
        write!(f, " {}", self.sentence)
    }
}

/// All faults found, in the order of the file. Displays as one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether one of them keeps the bridge from starting.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.level == Level::Error)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.0.iter().enumerate() {
            let newline = if nth == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Faults found while a file is read, before their lines are known.
#[derive(Debug, Default)]
pub(super) struct Findings(pub Vec<Finding>);

/// One fault whose line is not known yet.
#[derive(Debug)]
pub(super) struct Finding {
    pub level: Level,
    pub place: Place,
    pub sentence: String,
}

impl Findings {
    pub fn error(&mut self, place: Place, sentence: impl Into<String>) {
        self.0.push(Finding { level: Level::Error, place, sentence: sentence.into() });
    }

    pub fn warning(&mut self, place: Place, sentence: impl Into<String>) {
        self.0.push(Finding { level: Level::Warning, place, sentence: sentence.into() });
    }
}
