//! What a look for damage shows: a line that moves while it reads, and then its report. Of our own,
//! as one line of two numbers is all there is to draw.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::exit::Failure;

/// Between two pictures of the bar.
const DRAW_EVERY: Duration = Duration::from_millis(100);
const BAR_CELLS: u64 = 24;

/// How far it has come, on standard error when somebody looks at it. Wiped away when dropped.
pub(crate) struct Bar {
    shown: bool,
    drawn: Option<Instant>,
}

impl Bar {
    pub(crate) fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal(), drawn: None }
    }

    /// Whether it is worth asking often.
    pub(crate) fn is_shown(&self) -> bool {
        self.shown
    }

    pub(crate) fn at(&mut self, done: u64, total: u64) {
        let fresh = self.drawn.is_some_and(|drawn| drawn.elapsed() < DRAW_EVERY);
        if !self.shown || fresh {
            return;
        }
        self.drawn = Some(Instant::now());
        // A terminal that cannot be written to is no reason to stop looking.
        let _ = write!(std::io::stderr(), "\r{}\x1b[K", line(done, total));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Narrow enough for any terminal, as a line that wraps cannot be drawn over.
fn line(done: u64, total: u64) -> String {
    let share = |of: u64| u64::try_from(u128::from(done) * u128::from(of) / u128::from(total)).unwrap_or(of);
    let (full, percent) = if total == 0 { (0, 0) } else { (share(BAR_CELLS), share(100)) };
    let bar = "#".repeat(full as usize) + &" ".repeat((BAR_CELLS - full.min(BAR_CELLS)) as usize);
    format!("[{bar}] {percent:3}% {} of {}", size(done), size(total))
}

/// Bytes as people say them.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

/// Prints the report, and fails unless all was read and is sound.
pub(crate) fn show(report: &Value, as_json: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{report}")?;
    } else {
        out.write_all(text(report).as_bytes())?;
    }
    out.flush()?;
    if report["sound"] != json!(true) {
        return Err(Failure::Damaged("damage was found".into()));
    }
    if report["complete"] != json!(true) {
        return Err(Failure::Failed("it ended before everything was read".into()));
    }
    Ok(())
}

/// A line for each finding, one for each note, and the sum.
fn text(report: &Value) -> String {
    let list = |name: &str| report[name].as_array().map_or(&[][..], Vec::as_slice).iter();
    let number = |name: &str| report[name].as_u64().unwrap_or_default();
    let mut text = String::new();
    let mut listed = 0;
    for finding in list("findings") {
        listed += 1;
        let part = |name: &str| finding[name].as_str().unwrap_or_default();
        let _ = writeln!(text, "{}: {}", part("what"), part("problem"));
    }
    let found = number("found");
    if found > listed {
        let _ = writeln!(text, "... and {} more", found - listed);
    }
    for note in list("notes").filter_map(Value::as_str) {
        let _ = writeln!(text, "note: {note}");
    }
    let verdict = match report["sound"] {
        Value::Bool(true) => "sound".to_owned(),
        _ => count(found, "finding"),
    };
    let _ = writeln!(
        text,
        "{verdict}: {}, {}, {} of {}",
        count(number("objects"), "object"),
        count(number("parts"), "part"),
        size(number("bytes")),
        match number("bodies") {
            1 => "1 body".to_owned(),
            bodies => format!("{bodies} bodies"),
        },
    );
    text
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_one_short_line() {
        assert_eq!(line(0, 0), format!("[{}]   0% 0 bytes of 0 bytes", " ".repeat(24)));
        let half = format!("[{}{}]  50% 1.5 GiB of 3.0 GiB", "#".repeat(12), " ".repeat(12));
        assert_eq!(line(3 << 29, 3 << 30), half);
        for total in [1, 1023, 1024, u64::MAX] {
            let line = line(total, total);
            assert!(line.contains(&"#".repeat(24)) && line.contains("100%") && line.len() < 79, "{line}");
        }
    }

    #[test]
    fn a_report_is_read_from_its_last_line() {
        let mut report = json!({
            "sound": true, "complete": true, "objects": 1, "parts": 0, "bodies": 1, "bytes": 5, "found": 0,
            "findings": [], "notes": [],
        });
        assert_eq!(text(&report), "sound: 1 object, 0 parts, 5 bytes of 1 body\n");
        report["sound"] = json!(false);
        report["found"] = json!(3);
        report["bodies"] = json!(2);
        report["findings"] = json!([{"what": "b/k", "problem": "damaged: body 1/1"}]);
        report["notes"] = json!(["something"]);
        assert_eq!(
            text(&report),
            "b/k: damaged: body 1/1\n... and 2 more\nnote: something\n3 findings: 1 object, 0 parts, 5 bytes of 2 bodies\n"
        );
    }
}
