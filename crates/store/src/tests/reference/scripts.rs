//! Scripts that failed once, shrunk, as the runner printed them.

use super::operations::{Op, Pages};
use super::run_script;

#[test]
fn scripts_that_failed() {
    run_script(&[Op::ListVersions(0, Pages(0, 0, 1, 1), Some(6))], false);
}
