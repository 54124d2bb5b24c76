//! The audit at the end of every story: what was accepted is delivered, failed, expired or on its way.

use super::bridge::Bridge;

impl Bridge {
    /// `bunraku audit` on the bridge's database, whether the bridge runs or not. `Err` with the figures when they do
    /// not balance, or cannot be had.
    pub fn audit(&self) -> Result<(), String> {
        let ran = self.command("audit").output().expect("the program is built");
        let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match ran.status.code() {
            Some(0) => Ok(()),
            code => Err(format!(
                "bunraku audit ended with {code:?}:\n{}{}",
                words(&ran.stdout),
                words(&ran.stderr)
            )),
        }
    }
}
