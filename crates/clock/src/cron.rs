//! Cron expressions as SCF has them (scf.md 2.6): when they come due. Pure; times are local to UTC+8, the zone that
//! the cloud matches in.

use std::fmt;
use std::str::FromStr;

use cosette_model::Timestamp;
use time::{Date, OffsetDateTime, Time, UtcOffset};

/// The zone that expressions are matched in, in hours east of UTC.
const ZONE_HOURS: i8 = 8;

/// Bytes of an expression; the longest sensible one lists every value of every field.
const TEXT_MAX: usize = 1024;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// `second minute hour day month week year`, or the legacy `minute hour day month week`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    second: Field,
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    week: Field,
    year: Field,
}

/// Why a text is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotCron(String);

impl fmt::Display for NotCron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The values that a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    spans: Vec<Span>,
    /// `*`: what it says of days counts only if the other field of days says the same.
    is_any: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: u16,
    last: u16,
    step: u16,
}

impl Field {
    /// `names` stand for numbers from `low` on.
    fn parse(text: &str, what: &str, (low, high): (u16, u16), names: &[&str]) -> Result<Self, NotCron> {
        let wrong = |part: &str| NotCron(format!("{part:?} is no {what} of {low} to {high}"));
        let number = |part: &str| {
            let named = names.iter().position(|name| name.eq_ignore_ascii_case(part));
            let named = named.and_then(|at| u16::try_from(at).ok()).map(|at| at + low);
            // Digits alone: `u16` would take a sign.
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            let number = named.or_else(|| part.parse().ok().filter(|_| digits));
            number.filter(|number| (low..=high).contains(number)).ok_or_else(|| wrong(part))
        };
        let span = |part: &str| {
            let (values, step) = match part.split_once('/') {
                None => (part, None),
                Some((values, step)) => {
                    let digits = step.bytes().all(|byte| byte.is_ascii_digit());
                    let step = step.parse::<u16>().ok().filter(|step| digits && *step > 0);
                    (values, Some(step.ok_or_else(|| wrong(part))?))
                }
            };
            let (first, last) = match values.split_once('-') {
                _ if values == "*" => (low, high),
                Some((first, last)) => (number(first)?, number(last)?),
                // `5/10` goes on from 5.
                None if step.is_some() => (number(values)?, high),
                None => (number(values)?, number(values)?),
            };
            if first > last {
                return Err(wrong(part));
            }
            Ok(Span { first, last, step: step.unwrap_or(1) })
        };
        let spans = text.split(',').map(span).collect::<Result<_, _>>()?;
        Ok(Self { spans, is_any: text == "*" })
    }

    fn holds(&self, value: u16) -> bool {
        let of = |span: &Span| {
            (span.first..=span.last).contains(&value) && (value - span.first).is_multiple_of(span.step)
        };
        self.spans.iter().any(of)
    }

    /// The least value not below `from`.
    fn next(&self, from: u16) -> Option<u16> {
        let of = |span: &Span| {
            let above = from.saturating_sub(span.first).div_ceil(span.step);
            let next = span.first.checked_add(above.checked_mul(span.step)?)?;
            (next <= span.last).then_some(next)
        };
        self.spans.iter().filter_map(of).min()
    }
}

impl FromStr for Cron {
    type Err = NotCron;

    fn from_str(text: &str) -> Result<Self, NotCron> {
        if text.len() > TEXT_MAX {
            return Err(NotCron(format!("a cron expression has at most {TEXT_MAX} bytes")));
        }
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let [second, minute, hour, day, month, week, year] = match parts[..] {
            [second, minute, hour, day, month, week, year] => [second, minute, hour, day, month, week, year],
            [minute, hour, day, month, week] => ["0", minute, hour, day, month, week, "*"],
            _ => {
                let message = format!("{text:?} does not have seven fields (or five): second to year");
                return Err(NotCron(message));
            }
        };
        Ok(Self {
            second: Field::parse(second, "second", (0, 59), &[])?,
            minute: Field::parse(minute, "minute", (0, 59), &[])?,
            hour: Field::parse(hour, "hour", (0, 23), &[])?,
            day: Field::parse(day, "day", (1, 31), &[])?,
            month: Field::parse(month, "month", (1, 12), &MONTHS)?,
            week: Field::parse(week, "day of the week", (0, 6), &WEEKDAYS)?,
            year: Field::parse(year, "year", (1970, 2099), &[])?,
        })
    }
}

impl Cron {
    /// The first time after `after`, in whole seconds; `None` when there is none before the year 2100.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let zone = UtcOffset::from_hms(ZONE_HOURS, 0, 0).ok()?;
        let after = i64::try_from(after.as_secs()).ok()?;
        let from = OffsetDateTime::from_unix_timestamp(after + 1).ok()?.to_offset(zone);
        let (mut date, mut least) = (from.date(), Some(from.time()));
        // Years are skipped at once, so no more than some years' days are looked at.
        loop {
            let year = self.year.next(u16::try_from(date.year()).ok()?)?;
            if i32::from(year) != date.year() {
                date = Date::from_ordinal_date(year.into(), 1).ok()?;
                least = None;
            }
            if self.takes(date)
                && let Some(time) = self.time(least.unwrap_or(Time::MIDNIGHT))
            {
                let at = date.with_time(time).assume_offset(zone).unix_timestamp();
                return u64::try_from(at).ok().map(Timestamp::from_secs);
            }
            (date, least) = (date.next_day()?, None);
        }
    }

    /// The last time after `after` and not after `until`, if there is one.
    pub fn last(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let is_due = |from: &Timestamp| self.next(*from).filter(|at| *at <= until);
        is_due(&after)?;
        // After the first of these seconds there is one, after the second none.
        let (mut low, mut high) = (after.as_secs(), until.as_secs().max(after.as_secs() + 1));
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match is_due(&Timestamp::from_secs(middle)) {
                Some(_) => low = middle,
                None => high = middle,
            }
        }
        is_due(&Timestamp::from_secs(low))
    }

    /// If day and day of the week are both said, either will do.
    fn takes(&self, date: Date) -> bool {
        let day = self.day.holds(date.day().into());
        let week = self.week.holds(date.weekday().number_days_from_sunday().into());
        let is_day = if self.day.is_any || self.week.is_any { day && week } else { day || week };
        is_day && self.month.holds(u8::from(date.month()).into())
    }

    /// The first time of a day that is not before `from`.
    fn time(&self, from: Time) -> Option<Time> {
        let (hour, minute, second) = (from.hour().into(), from.minute().into(), from.second().into());
        let made = |hour: u16, minute: u16, second: u16| {
            Time::from_hms(u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, u8::try_from(second).ok()?)
                .ok()
        };
        if self.hour.holds(hour) {
            if self.minute.holds(minute)
                && let Some(second) = self.second.next(second)
            {
                return made(hour, minute, second);
            }
            if let Some(minute) = self.minute.next(minute + 1) {
                return made(hour, minute, self.second.next(0)?);
            }
        }
        made(self.hour.next(hour + 1)?, self.minute.next(0)?, self.second.next(0)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(&format!("{text}+08:00")).unwrap()
    }

    /// The next times after a moment, all of them in UTC+8.
    fn times(cron: &str, after: &str, count: usize) -> Vec<String> {
        let cron: Cron = cron.parse().unwrap();
        let next = |from: &Timestamp| cron.next(*from);
        let times = std::iter::successors(cron.next(at(after)), next).take(count);
        times.map(|time| time.plus(std::time::Duration::from_secs(8 * 3600)).plain()).collect()
    }

    /// The examples of the documentation of timer triggers.
    #[test]
    fn documented_expressions() {
        for (cron, after, want) in [
            ("*/5 * * * * * *", "2024-05-06T07:08:09", vec!["2024-05-06 07:08:10", "2024-05-06 07:08:15"]),
            ("0 0 2 1 * * *", "2024-12-31T00:00:00", vec!["2025-01-01 02:00:00", "2025-02-01 02:00:00"]),
            (
                "0 15 10 * * MON-FRI *",
                "2024-05-03T10:15:00",
                vec!["2024-05-06 10:15:00", "2024-05-07 10:15:00"],
            ),
            (
                "0 0 10,14,16 * * * *",
                "2024-05-06T10:00:00",
                vec!["2024-05-06 14:00:00", "2024-05-06 16:00:00"],
            ),
            (
                "0 */30 9-17 * * * *",
                "2024-05-06T17:00:00",
                vec!["2024-05-06 17:30:00", "2024-05-07 09:00:00"],
            ),
            ("0 0 12 * * WED *", "2024-05-06T00:00:00", vec!["2024-05-08 12:00:00", "2024-05-15 12:00:00"]),
            ("*/5 * * * *", "2024-05-06T07:58:00", vec!["2024-05-06 08:00:00", "2024-05-06 08:05:00"]),
        ] {
            assert_eq!(times(cron, after, want.len()), want, "{cron}");
        }
    }

    #[test]
    fn days_leap_years_and_ends() {
        // Either the day or the day of the week: 2024-05-06 is a Monday.
        assert_eq!(
            times("0 0 0 10 * 1 *", "2024-05-06T00:00:00", 3),
            ["2024-05-10 00:00:00", "2024-05-13 00:00:00", "2024-05-20 00:00:00"]
        );
        assert_eq!(
            times("0 0 0 29 2 * *", "2024-03-01T00:00:00", 2),
            ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]
        );
        assert_eq!(times("59 59 23 31 12 * 2099", "2024-01-01T00:00:00", 2), ["2099-12-31 23:59:59"]);
        assert!(times("0 0 0 30 2 * *", "2024-01-01T00:00:00", 1).is_empty());
        assert!(times("0 0 0 1 1 * 1999", "2024-01-01T00:00:00", 1).is_empty());
        assert_eq!(times("5/20 * * * * * *", "2024-01-01T00:00:45", 1), ["2024-01-01 00:01:05"]);
    }

    /// Whatever the time of the day, the next one is what a look at every second finds.
    #[test]
    fn the_next_is_the_first_that_matches() {
        let texts = [
            "*/7 3-5,9/20 */6 * * * *",
            "13 0 23 * * * *",
            "0,59 59 0,23 * 2/3 0 2024-2025",
            "1 1 1 1 1 1 *",
        ];
        let start = at("2024-02-28T00:00:00");
        let mut draw = 12345_u64;
        for text in texts {
            let cron: Cron = text.parse().unwrap();
            for _ in 0..12 {
                draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let from = Timestamp::from_secs(start.as_secs() + (draw >> 33) % 200_000);
                let local = |secs: u64| {
                    let zone = UtcOffset::from_hms(ZONE_HOURS, 0, 0).unwrap();
                    OffsetDateTime::from_unix_timestamp(secs.try_into().unwrap()).unwrap().to_offset(zone)
                };
                let matches = |secs: &u64| {
                    let local = local(*secs);
                    cron.takes(local.date())
                        && cron.year.holds(local.year().try_into().unwrap())
                        && cron.hour.holds(local.hour().into())
                        && cron.minute.holds(local.minute().into())
                        && cron.second.holds(local.second().into())
                };
                let found = cron.next(from).unwrap().as_secs();
                let end = found.min(from.as_secs() + 20_000);
                let want = (from.as_secs() + 1..=end).find(matches);
                assert_eq!(want, (found == end).then_some(found), "{text} after {}", from.as_secs());
            }
        }
    }

    #[test]
    fn the_last_of_those_that_are_due() {
        let last = |cron: &str, after: &str, until: &str| {
            cron.parse::<Cron>().unwrap().last(at(after), at(until)).map(|found| found.as_secs())
        };
        let of = |text: &str| Some(at(text).as_secs());
        let (day, noon) = ("2024-05-06T00:00:00", "2024-05-06T12:00:00");
        assert_eq!(last("0 0 8 * * * *", day, noon), of("2024-05-06T08:00:00"));
        assert_eq!(last("0 0 8 * * * *", "2020-01-01T00:00:00", noon), of("2024-05-06T08:00:00"));
        assert_eq!(last("0 0 12 * * * *", day, noon), of(noon));
        assert_eq!(last("0 0 0 * * * *", day, noon), None);
        assert_eq!(last("* * * * * * *", day, noon), of(noon));
        assert_eq!(last("* * * * * * *", noon, noon), None);
        assert_eq!(last("* * * * * * *", noon, day), None);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "* * *",
            "* * * * * *",
            "60 * * * * * *",
            "* * 24 * * * *",
            "* * * 0 * * *",
            "* * * * 13 * *",
            "* * * * * 7 *",
            "* * * * * * 2100",
            "*/0 * * * * * *",
            "5-1 * * * * * *",
            "a * * * * * *",
            "+1 * * * * * *",
            "1,, * * * * * *",
            "1- * * * * * *",
            "*/ * * * * * *",
            "? * * * * * *",
            "* * * * * * * *",
            "99999999 * * * * * *",
            "MON * * * * * *",
        ] {
            assert!(text.parse::<Cron>().is_err(), "{text}");
        }
        assert!("0 ".repeat(600).parse::<Cron>().is_err());
    }

    /// Noise neither panics nor takes long.
    #[test]
    fn noise() {
        let mut draw = 7_u64;
        let letters = b"0123456789*,-/ SUNJAN";
        for _ in 0..5_000 {
            let text: String = (0..24)
                .map(|_| {
                    draw =
                        draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    letters[(draw >> 40) as usize % letters.len()] as char
                })
                .collect();
            if let Ok(cron) = text.parse::<Cron>() {
                let _ = cron.next(Timestamp::from_secs(draw >> 30));
            }
        }
        let far: Cron = "* * * * * * *".parse().unwrap();
        assert_eq!(far.next(Timestamp::from_micros(u64::MAX)), None);
    }
}
