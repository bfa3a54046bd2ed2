//! Settings of buckets: what each document means, and that it comes back as it went.
//!
//! Requests are written by hand; what is below `--- call` is written by `COSETTE_UPDATE_GOLDEN=1`.

use std::fmt::Write;

use cosette_model::op::{Call, Op, Reply, Services, reply};
use cosette_model::setting::Verb;
use cosette_wire::DialectName;

use super::{asked, meaning, path, same, send, show, wire};

/// One file in one dialect: requests with what they mean; a document that was taken is answered to a
/// read, and must mean the same again.
fn settings(name: &str, dialect: DialectName) {
    let file = std::fs::read_to_string(path(name)).unwrap();
    let wire = wire(false);
    let (mut out, mut seen) = (String::new(), Vec::new());
    for case in file.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let text = rest.split("--- call\n").next().unwrap().trim_end_matches('\n');
        let decoded = send(&wire, text);
        assert_eq!(decoded.asked.dialect, dialect, "{title}");
        let op = title.split(':').next().unwrap();
        assert_eq!(decoded.asked.op.map(Op::name), Some(op), "{title}");
        let _ = writeln!(out, "=== {title}\n{text}\n--- call\n{}\n", meaning(&decoded));
        let Ok((_, call)) = decoded.outcome else { continue };
        assert_eq!(call.op().name(), op, "{title}");
        seen.push(call.op());
        let Call::PutSetting(put) = call else { continue };
        let answer = |reply| show(wire.encode(&asked(dialect, false), Ok(reply)));
        let done = answer(Reply::PutSetting(reply::PutSetting { name: put.name }));
        let found = reply::GetSetting { name: put.name, setting: put.setting.clone() };
        let found = answer(Reply::GetSetting(found));
        let (_, document) = found.split_once("\n\n").unwrap();
        let _ = writeln!(out, "--- answer\n{}\n--- read\n{document}", done.lines().next().unwrap());
        let (head, _) = text.split_once("\n\n").unwrap_or((text, ""));
        let again = send(&wire, &format!("{head}\n\n{document}"));
        match again.outcome.unwrap().1 {
            Call::PutSetting(again) => assert_eq!(again.setting, put.setting, "{title}"),
            other => panic!("{title}: {other:?}"),
        }
    }
    for op in Op::ALL {
        let here = match op.services() {
            Services::Both => true,
            Services::CosOnly => dialect == DialectName::Cos,
            Services::S3Only => dialect == DialectName::S3,
        };
        if op.setting().is_some() && here {
            assert!(seen.contains(op), "{name} has no request for {}", op.name());
        }
    }
    same(name, &out);
}

#[test]
fn settings_of_cos() {
    settings("settings-cos.txt", DialectName::Cos);
}

#[test]
fn settings_of_s3() {
    settings("settings-s3.txt", DialectName::S3);
}

#[test]
fn what_is_not_set_is_told_by_a_code_or_an_empty_document() {
    for name in cosette_model::SettingName::ALL.iter().filter(|name| name.missing().is_none()) {
        for dialect in [DialectName::Cos, DialectName::S3] {
            let found = Reply::GetSetting(reply::GetSetting { name: *name, setting: None });
            let shown = show(wire(false).encode(&asked(dialect, false), Ok(found)));
            assert!(shown.starts_with("200"), "{name:?} {shown}");
        }
        assert_eq!(name.get().setting(), Some((*name, Verb::Get)));
    }
}
