//! The IRC adapter: sockets on one side, [`Input`](crate::bridge::input::Input) on the other.
//!
//! It opens connections, cuts bytes into lines, writes lines, and says what became of each. It knows no
//! nick, no channel and no registration, keeps no state over connections and decides nothing: when to
//! connect, how fast to talk and what to say are the machine's. It spawns no task either: [`connection::run`]
//! is a future that the wiring spawns, one per connection, living like this:
//!
//! ```text
//!            +--------- asked to close ----------------------------------------------+
//!            |                                                                       v
//!  run --> dial ---- stream ----> open ------- asked ------> closing ------------> closed
//!            |                 ConnOpened           flush, shutdown, read on      ConnClosed
//!            |                 ConnLine *           (5 s at most)                 (always one,
//!            |                 ConnWritten *                                      always last)
//!            |                    |                                                  ^
//!            +-- DialError -------+-- end of stream, broken socket ------------------+
//! ```
//!
//! Parts: [`dial`] gives a stream, out of [`source`] (where from), `eyeballs` (which address of several),
//! `socket`, [`tls`] (who is trusted) and [`certificate`] (as whom we show ourselves); [`framer`] (bytes to
//! lines), `halves` (one stream both ways), `orders` (what the machine wants) and [`connection`] (the task) use it. Beside them stands [`identd`], which tells servers who a
//! connection is; it too is a future that the wiring spawns.

pub mod certificate;
pub mod connection;
pub mod dial;
mod eyeballs;
pub mod framer;
mod halves;
pub mod identd;
mod orders;
mod socket;
pub mod source;
mod stream;
#[cfg(test)]
mod testing;
pub mod tls;
mod tls_failure;
