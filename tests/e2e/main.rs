//! End to end, on real parts: Synapse with InspIRCd, with ngIRCd and with ircd-hybrid.
//!
//! `scripts/test` installs the parts and sets the variables that lead to them; without them these tests fail and
//! say so. `support` is the harness, `harness` and `parts` prove the harness without the bridge, `commands` asks
//! the machine of one network, `stories` are the promises told once and run on each IRC server, `bad_input` is what
//! must be refused or waited for. `model` stands in for a partner where a story asks for more than a real one can give.

mod bad_input;
mod commands;
mod harness;
#[path = "../model/mod.rs"]
mod model;
mod parts;
mod stories;
mod support;
