//! Where logs go and which of them: standard error, filtered by `--log`, else `RUST_LOG`, else the configuration.

use std::io::IsTerminal;

use bunraku::app::reload::SetFilter;
use bunraku::config::{LogFormat, Logging};
use tracing_subscriber::{EnvFilter, reload};

/// Starts logging; gives the way to another filter. The error is one sentence that names the source of the bad filter.
pub fn start(logging: &Logging, asked: Option<&str>) -> Result<SetFilter, String> {
    let first = filter(logging, asked)?;
    let builder = tracing_subscriber::fmt().with_env_filter(first).with_writer(std::io::stderr);
    // Colours are for people at a terminal; in a file or the journal they are noise.
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    let asked = asked.map(str::to_owned);
    let again = move |logging: &Logging| filter(logging, asked.as_deref());
    let changed = |fault: reload::Error| format!("the filter for logs cannot be changed: {fault}");
    let (started, set_filter): (_, SetFilter) = match logging.format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            let set = move |logging: &Logging| handle.reload(again(logging)?).map_err(changed);
            (builder.try_init(), Box::new(set))
        }
        LogFormat::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            let set = move |logging: &Logging| handle.reload(again(logging)?).map_err(changed);
            (builder.try_init(), Box::new(set))
        }
    };
    started.map_err(|fault| format!("logging cannot be started: {fault}"))?;
    Ok(set_filter)
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
