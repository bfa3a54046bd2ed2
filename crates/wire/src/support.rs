//! `docs/api-support.md`, made from the operation table and the route table.
//! `COSETTE_UPDATE_DOCS=1` rewrites it.

use std::fmt::Write;
use std::path::PathBuf;

use cosette_model::op::{Level, Op, Services};

use crate::route;

fn page() -> String {
    let mut page = String::from(
        "# API support\n\n\
         Made from the operation table (`crates/model/src/op`) and the route table\n\
         (`crates/wire/src/route.rs`) by a test; to change it, change those and run\n\
         `COSETTE_UPDATE_DOCS=1 cargo test -p cosette-wire`.\n\n\
         An operation that is not supported answers `501 NotImplemented` and names itself. So does a\n\
         request header or parameter that asks for something that is not here (\
         a callback): nothing is\n\
         accepted and ignored.\n",
    );
    let count = |word| Op::ALL.iter().filter(|op| support(**op) == word).count();
    let _ = writeln!(
        page,
        "\n{} of {} operations are supported. {} more are of settings that are *kept only*: checked, stored,\n\
         shown and removed as the service does it, but nothing acts on them yet.",
        count("yes"),
        Op::ALL.len(),
        count("kept only")
    );
    for (level, title) in [(Level::Service, "Service"), (Level::Bucket, "Bucket"), (Level::Object, "Object")]
    {
        let _ = writeln!(
            page,
            "\n## {title}\n\n| Operation | Services | Supported | Request | What it is |\n| --- | --- | --- | --- | --- |"
        );
        for op in Op::ALL.iter().filter(|op| op.level() == level) {
            let services = match op.services() {
                Services::Both => "COS, S3",
                Services::CosOnly => "COS",
                Services::S3Only => "S3",
            };
            let mut forms: Vec<_> = route::forms(*op).map(|form| format!("`{form}`")).collect();
            if *op == Op::ServeWebsite {
                forms.extend(["`GET` or `HEAD` on a website host".to_owned()]);
            }
            let _ = writeln!(
                page,
                "| {} | {services} | {} | {} | {} |",
                op.name(),
                support(*op),
                forms.join(", "),
                op.about()
            );
        }
    }
    page
}

/// Nothing acts yet on some settings that are checked, kept and shown.
fn support(op: Op) -> &'static str {
    match op.setting() {
        Some((setting, _)) if !setting.acted_on() => "kept only",
        _ if op.supported() => "yes",
        _ => "no",
    }
}

#[test]
fn the_page_follows_the_tables() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/api-support.md");
    if std::env::var_os("COSETTE_UPDATE_DOCS").is_some() {
        std::fs::write(&file, page()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page(), "docs/api-support.md is behind the tables; run with COSETTE_UPDATE_DOCS=1");
}
