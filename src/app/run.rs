//! Where the program hands over to the bridge.

use crate::config::{Config, Registration};

/// Runs the bridge until it is asked to stop.
pub async fn run(config: Config, registration: Registration) -> anyhow::Result<()> {
    let policies = super::settings::policies(&config, &registration);
    anyhow::bail!("this build has no bridge for its {} networks", policies.len())
}
