//! Where logs go and which of them: standard error, filtered by `--log`, else `RUST_LOG`, else the configuration.

use std::io::IsTerminal;

use bunraku::config::{LogFormat, Logging};
use tracing_subscriber::EnvFilter;

/// Starts logging. The error is one sentence that names the source of the bad filter.
pub fn start(logging: &Logging, asked: Option<&str>) -> Result<(), String> {
    let filter = filter(logging, asked)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(wants_colours());
    let started = match logging.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|fault| format!("logging cannot be started: {fault}"))
}

/// Colours are for people at a terminal; in a file or a journal their codes are noise (see no-color.org).
fn wants_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}

/// The filter that counts, or a sentence on what is wrong with it.
pub fn filter(logging: &Logging, asked: Option<&str>) -> Result<EnvFilter, String> {
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.is_empty());
    let (source, text) = match (asked, from_environment) {
        (Some(asked), _) => ("--log", asked.to_owned()),
        (None, Some(variable)) => (EnvFilter::DEFAULT_ENV, variable),
        (None, None) => ("logging.filter", logging.filter.clone()),
    };
    EnvFilter::try_new(&text)
        .map_err(|fault| format!("{source}: \"{text}\" is no filter, such as info,bunraku=debug: {fault}"))
}
