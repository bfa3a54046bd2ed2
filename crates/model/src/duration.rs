//! Lengths of time as people write them: `200ms`, `30s`, `5m`, `2h`, `1d`.

use std::time::Duration;

/// Reads a whole number with a unit.
///
/// # Errors
/// In words, what is wrong with it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is not a length of time such as 200ms, 30s, 5m, 2h or 1d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, millis) in [
            ("200ms", 200),
            ("1s", 1_000),
            ("60s", 60_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "1", "s", "-1s", "1.5s", "1 s", "1w", "99999999999999999999s", "9999999999999999999d"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
