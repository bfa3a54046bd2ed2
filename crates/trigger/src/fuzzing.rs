//! Parsers as functions of any bytes, for `scripts/fuzz`.

use cosette_clock::Cron;
use cosette_model::Timestamp;

/// Seconds from 1970 to 2100.
const END: u64 = 4_102_444_800;

/// A time, and a cron expression: what it says next comes later, and nothing between.
pub fn cron(bytes: &[u8]) {
    let Some((from, text)) = bytes.split_first_chunk::<4>() else { return };
    let Some(cron) = std::str::from_utf8(text).ok().and_then(|text| text.parse::<Cron>().ok()) else {
        return;
    };
    let from = Timestamp::from_secs(u64::from(u32::from_be_bytes(*from)) % END);
    let Some(next) = cron.next(from) else { return };
    assert!(next > from && next.as_secs() < END);
    let before = Timestamp::from_secs(next.as_secs() - 1);
    assert_eq!(cron.next(before.max(from)), Some(next));
    assert_eq!(cron.last(from, next), Some(next));
    assert_eq!(cron.last(from, before), None);
}

#[cfg(test)]
mod tests {
    #[test]
    fn some_expressions() {
        for text in ["0 */5 * * * * *", "0 0 2 1 JAN ? 2099", "*/5 * * * *", "x"] {
            super::cron(&[b"\x60\0\0\0", text.as_bytes()].concat());
        }
    }
}
