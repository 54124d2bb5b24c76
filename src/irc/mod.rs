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
//! Parts: [`dial`] (resolve, source address, TCP) and [`tls`] (who is trusted) give a stream; [`framer`]
//! (bytes to lines) and [`connection`] (the task) use it.

pub mod connection;
pub mod dial;
pub mod framer;
#[cfg(test)]
mod testing;
pub mod tls;
