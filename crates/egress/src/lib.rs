//! What is needed for the calls of functions to come home, and nowhere else: a certificate authority of our own, the
//! files with which each language trusts it, what a connection says of where it wants to, and who may go elsewhere.
//!
//! Knows no HTTP, and opens no connection.

mod authority;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod opening;
mod rules;
mod trust;

pub use crate::authority::{Authority, CERTIFICATE, KEY};
pub use crate::opening::{Opening, Rewound, TLS_DENIED, Target, socks_done, socks_refused};
pub use crate::rules::{Allowed, Rules, SERVICES, Verdict};
pub use crate::trust::{Trust, trust};
