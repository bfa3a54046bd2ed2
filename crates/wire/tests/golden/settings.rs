//! Settings of buckets: what each document means, and that it comes back as it went.
//!
//! Requests are written by hand; what is below `--- call` is written by `COSETTE_UPDATE_GOLDEN=1`.

use std::fmt::Write;

use cosette_model::Setting;
use cosette_model::op::{Call, Op, Reply, Services, reply};
use cosette_model::setting::Verb;
use cosette_wire::DialectName;

use super::{asked, meaning, path, same, send, show, wire};

/// Files of one dialect, which together ask for every operation of every setting.
fn settings(names: &[&str], dialect: DialectName) {
    let mut seen = Vec::new();
    for name in names {
        file(name, dialect, &mut seen);
    }
    for op in Op::ALL {
        let here = match op.services() {
            Services::Both => true,
            Services::CosOnly => dialect == DialectName::Cos,
            Services::S3Only => dialect == DialectName::S3,
        };
        if op.setting().is_some() && here {
            assert!(seen.contains(op), "{names:?} have no request for {}", op.name());
        }
    }
}

/// Requests with what they mean; a document that was taken is answered to a read, and must mean the
/// same again. A list shows all of its kind that were taken before.
fn file(name: &str, dialect: DialectName, seen: &mut Vec<Op>) {
    let file = std::fs::read_to_string(path(name)).unwrap();
    let wire = wire(false);
    let (mut out, mut taken) = (String::new(), Vec::new());
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
        let answer = |reply| show(wire.encode(&asked(dialect, false), Ok(reply)));
        let put = match call {
            Call::PutSetting(put) => put,
            Call::ListSettings(list) => {
                let settings: Vec<Setting> =
                    taken.iter().filter(|setting: &&Setting| setting.name() == list.name).cloned().collect();
                let page =
                    reply::ListSettings { name: list.name, settings, after: list.after, next: Some(7) };
                let shown = answer(Reply::ListSettings(page));
                let (_, document) = shown.split_once("\n\n").unwrap();
                let _ = writeln!(out, "--- read\n{document}");
                continue;
            }
            _ => continue,
        };
        taken.extend(put.setting.clone());
        let done = answer(Reply::PutSetting(reply::PutSetting { name: put.name, small: None }));
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
    same(name, &out);
}

#[test]
fn settings_of_cos() {
    settings(&["settings-cos.txt", "settings-more-cos.txt"], DialectName::Cos);
}

#[test]
fn settings_of_s3() {
    settings(&["settings-s3.txt", "settings-more-s3.txt"], DialectName::S3);
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
