//! Keyed FIFO scheduler.
