//! The trigger subsystem on a real store, with functions that are scripts of the test.

#![allow(clippy::unwrap_used)]

mod chains;
mod deliveries;
mod letters;
mod quiet;
mod restart;
mod rules;
mod scripted;
mod steer;
mod timers;
mod world;
