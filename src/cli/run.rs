//! `bunraku run`: read everything, start logging, hand over to the bridge.

use bunraku::app::reload::Source;
use bunraku::config::{Config, Registration, registration};
use bunraku::matrix::client::ClientError;

use super::{Exit, Run, load, logging, refuse, runtime};

/// Runs until the bridge ends.
pub fn main(run: &Run) -> Exit {
    prepare_and_start(run).unwrap_or_else(|exit| exit)
}

fn prepare_and_start(run: &Run) -> Result<Exit, Exit> {
    let loaded = load(&run.config.path)?;
    let (registration, warnings) =
        registration::load(&loaded.config).map_err(|problems| refuse(&problems))?;
    let set_filter = logging::start(&loaded.config.logging, run.log.as_deref()).map_err(|sentence| {
        eprintln!("{sentence}");
        Exit::Usage
    })?;
    let source = Source { file: run.config.path.clone(), set_filter };
    for warning in loaded.warnings.0.iter().chain(&warnings.0) {
        tracing::warn!("{warning}");
    }
    Ok(match runtime()?.block_on(start(loaded.config, registration, source)) {
        Ok(()) => Exit::Good,
        Err(fault) => {
            tracing::error!(fault = format!("{fault:#}"), "the bridge has stopped");
            exit_of(&fault)
        }
    })
}

/// Runs the bridge.
async fn start(config: Config, registration: Registration, source: Source) -> anyhow::Result<()> {
    bunraku::app::run::run(config, registration, source).await
}

/// A fault of the homeserver's has an exit code of its own, so that a supervisor can wait for it.
fn exit_of(fault: &anyhow::Error) -> Exit {
    let homeserver = fault.chain().any(|cause| cause.is::<ClientError>());
    if homeserver { Exit::Homeserver } else { Exit::Fault }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_fault_of_the_homeserver_is_told_from_our_own() {
        let theirs = Err::<(), _>(ClientError::WrongToken).context("cannot register the bot").unwrap_err();
        assert_eq!(exit_of(&theirs), Exit::Homeserver);
        assert_eq!(exit_of(&anyhow::anyhow!("the disk is full")), Exit::Fault);
    }
}
