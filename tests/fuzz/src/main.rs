//! A fuzzer of one of Cosette's parsers, named by `COSETTE_FUZZ_TARGET`; scripts/fuzz builds and runs it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("request", cosette_wire::fuzzing::request),
    ("setting", cosette_wire::fuzzing::setting),
    ("form", cosette_wire::fuzzing::form),
    ("chunked", cosette_wire::fuzzing::chunked),
    ("policy", cosette_ops::fuzzing::policy),
    ("query", cosette_select::fuzzing::query),
    ("action", cosette_control::fuzzing::action),
    ("frame", cosette_store::fuzzing::frame),
    ("object", cosette_store::fuzzing::object),
    ("cron", cosette_trigger::fuzzing::cron),
    ("place", cosette_cdn::fuzzing::place),
    ("opening", cosette_egress::fuzzing::opening),
    ("gob", cosette_runtime::fuzzing::gob),
    ("name", cosette_runtime::fuzzing::name),
    ("head", cosette_runtime::fuzzing::head),
];

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("COSETTE_FUZZ_TARGET").unwrap_or_default();
    match TARGETS.iter().find(|(name, _)| *name == wanted) {
        Some((_, target)) => *target,
        None => panic!("COSETTE_FUZZ_TARGET is one of {:?}", TARGETS.iter().map(|(name, _)| name).collect::<Vec<_>>()),
    }
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
