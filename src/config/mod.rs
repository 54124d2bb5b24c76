//! The configuration file: read, fitted, checked.
//!
//! ```text
//! text ── YAML ──> value tree ── shape, ${…} ──> fitted tree ── serde ──> Config ── check ──> Config, warnings
//!                     │                │                                     │
//!                     └─ not YAML      └─ unknown, missing, wrong kind       └─ does not fit together
//! ```
//!
//! All faults of a file are told at once, each with its line, its setting and what to do. A [`Config`] that
//! left this module has passed every check. Opens no socket and starts nothing; reads the file itself, the
//! files it names in `${file:…}`, and looks whether `ca_file` exists.

mod check;
mod conform;
mod find;
pub mod problem;
pub mod registration;
mod shape;
mod substitute;
mod syntax;
mod types;

use std::path::{Path, PathBuf};

pub use problem::{Level, Problem, Problems};
pub use registration::Registration;
pub use substitute::Around;
pub use types::*;

use problem::{Finding, Findings, Place};

use crate::secret::Secret;

/// Longest configuration file read, in bytes.
const FILE_BYTES_MAX: u64 = 1_048_576;

/// How many faults are told at most: more than that is another kind of file.
const PROBLEMS_MAX: usize = 100;

/// A configuration the bridge can run with.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// What somebody should look at, all of [`Level::Warning`].
    pub warnings: Problems,
}

/// Reads and checks the file, with the process's environment. Paths in the result are relative to the
/// working directory, as `file` is.
pub fn load(file: &Path) -> Result<Loaded, Problems> {
    let text = read(file).map_err(|sentence| Problem::of_file(file, sentence))?;
    parse(&text, Around { file, variable: &|name| std::env::var(name).ok() })
}

fn read(file: &Path) -> Result<String, String> {
    let cannot = |fault: std::io::Error| match fault.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no such file; copy config.sample.yaml to begin, or name yours with --config".to_owned()
        }
        _ => format!("cannot be read: {fault}"),
    };
    if std::fs::metadata(file).map_err(cannot)?.len() > FILE_BYTES_MAX {
        return Err(format!("is longer than {FILE_BYTES_MAX} bytes; is it the configuration?"));
    }
    std::fs::read_to_string(file).map_err(cannot)
}

/// Reads and checks a configuration from its text. `around` says where it lies and what the environment is.
pub fn parse(text: &str, around: Around<'_>) -> Result<Loaded, Problems> {
    let tree = serde_yaml::from_str(text).map_err(|fault| not_yaml(around.file, &fault))?;
    let mut findings = Findings::default();
    let mut fitted = conform::conform(&tree, &shape::CONFIG, &around, &mut findings);
    conform::fill(&mut fitted);
    let config = typed(fitted, &mut findings).map(|config| {
        let config = settle(config, around.file);
        check_apart_from_faults(&config, &mut findings);
        config
    });
    let problems = locate(findings, text, around.file);
    match config {
        Some(config) if !problems.has_errors() => Ok(Loaded { config, warnings: problems }),
        Some(_) | None => Err(problems),
    }
}

fn not_yaml(file: &Path, fault: &serde_yaml::Error) -> Problem {
    let line = fault.location().map(|at| at.line());
    let sentence = format!("this is not YAML as the bridge reads it: {fault}");
    Problem { line, ..Problem::of_file(file, sentence) }
}

/// The types' own reading. The table of settings has seen the value already, so a fault here is told
/// rather than expected.
fn typed(fitted: serde_yaml::Value, findings: &mut Findings) -> Option<Config> {
    serde_path_to_error::deserialize(fitted)
        .map_err(|fault| {
            findings.error(Place::default(), format!("{}: {}", fault.path(), fault.inner()));
        })
        .ok()
}

/// Runs the checks on a configuration that may hold stand-ins, and leaves out what they say about those.
fn check_apart_from_faults(config: &Config, findings: &mut Findings) {
    let mut more = Findings::default();
    check::check(config, &mut more);
    let faulty: Vec<Place> = findings.0.iter().map(|finding| finding.place.clone()).collect();
    let about_the_file = |finding: &Finding| !faulty.iter().any(|place| finding.place.is_within(place));
    findings.0.extend(more.0.into_iter().filter(about_the_file));
}

/// Makes paths that are relative to the file relative to the working directory, and takes the slash off the
/// end of URLs, where people write it or not.
fn settle(mut config: Config, file: &Path) -> Config {
    for url in [&mut config.homeserver.url, &mut config.appservice.url] {
        url.truncate(url.trim_end_matches('/').len());
    }
    config.appservice.registration = conform::beside(file, &config.appservice.registration);
    config.secrets.key_file = conform::beside(file, &config.secrets.key_file);
    for network in config.networks.values_mut() {
        let Tls { ca_file, client_certificate, client_key, .. } = &mut network.tls;
        for named in [ca_file, client_certificate, client_key].into_iter().flatten() {
            *named = conform::beside(file, named);
        }
    }
    config.database.url = Secret::new(&settle_sqlite(config.database.url.expose(), file));
    config
}

/// `sqlite:bunraku.db` beside `file`; any other URL as it is. Signs that mean something in a URL are
/// escaped in the folder's name.
fn settle_sqlite(url: &str, file: &Path) -> String {
    let Some(rest) = url.strip_prefix("sqlite:") else { return url.to_owned() };
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.starts_with([':', '/', '?']) {
        return url.to_owned();
    }
    let folder = conform::beside(file, &PathBuf::new());
    let folder = folder.to_string_lossy().replace('%', "%25").replace('?', "%3F");
    format!("sqlite:{folder}{path}")
}

/// Gives every finding its line and puts them in the order of the file.
fn locate(findings: Findings, text: &str, file: &Path) -> Problems {
    let total = findings.0.len();
    let mut problems: Vec<Problem> = findings
        .0
        .into_iter()
        .take(PROBLEMS_MAX)
        .map(|Finding { level, place, sentence }| {
            let line = find::line_of(text, &place);
            Problem { level, file: file.into(), line, place, sentence }
        })
        .collect();
    problems.sort_by_key(|problem| problem.line);
    if total > PROBLEMS_MAX {
        problems.push(Problem::of_file(file, format!("{} more faults", total - PROBLEMS_MAX)));
    }
    Problems(problems)
}

#[cfg(test)]
mod tests;
