//! Timestamps as the services' SQL has them: Ion's, with as much precision as was written, and an
//! offset from UTC that may be unknown.

use std::cmp::Ordering;
use std::fmt;

use cosette_model::Timestamp;
use time::{Date, Month, PrimitiveDateTime, Time};

/// How far a timestamp is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    Year,
    Month,
    Day,
    Minute,
    Second,
    /// With so many digits behind the second's point, at most 9.
    Fraction(u8),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// As the clock on the wall shows it at the offset.
    pub(crate) local: PrimitiveDateTime,
    /// From UTC, in minutes; unknown counts as 0.
    pub(crate) offset: Option<i16>,
    pub(crate) precision: Precision,
}

/// A unit of time that a function names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    TimezoneHour,
    TimezoneMinute,
}

impl Part {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "year" => Self::Year,
            "month" => Self::Month,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "second" => Self::Second,
            "timezone_hour" => Self::TimezoneHour,
            "timezone_minute" => Self::TimezoneMinute,
            _ => return None,
        })
    }
}

impl Moment {
    /// Ion's text form (Ion specification, "Timestamps"), and a date without the closing `T`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let year: i32 = number(&mut rest, 4)?;
        if year == 0 {
            return None;
        }
        if rest == "T" {
            return Self::at(year, 1, 1, Time::MIDNIGHT, None, Precision::Year);
        }
        let month = taken(&mut rest, "-").and_then(|()| number(&mut rest, 2))?;
        if rest == "T" {
            return Self::at(year, month, 1, Time::MIDNIGHT, None, Precision::Month);
        }
        let day = taken(&mut rest, "-").and_then(|()| number(&mut rest, 2))?;
        if rest.is_empty() || rest == "T" {
            return Self::at(year, month, day, Time::MIDNIGHT, None, Precision::Day);
        }
        taken(&mut rest, "T")?;
        let hour = number(&mut rest, 2)?;
        taken(&mut rest, ":")?;
        let minute = number(&mut rest, 2)?;
        let (mut second, mut nanos, mut precision) = (0, 0, Precision::Minute);
        if taken(&mut rest, ":").is_some() {
            (second, precision) = (number(&mut rest, 2)?, Precision::Second);
            if taken(&mut rest, ".").is_some() {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let kept = digits.min(9);
                let written: u32 = rest.get(..kept).filter(|d| !d.is_empty())?.parse().ok()?;
                rest = &rest[digits..];
                nanos = written * 10_u32.pow(9 - u32::try_from(kept).ok()?);
                precision = Precision::Fraction(u8::try_from(kept).ok()?);
            }
        }
        let time = Time::from_hms_nano(hour, minute, second, nanos).ok()?;
        Self::at(year, month, day, time, offset(rest)?, precision)
    }

    fn at(
        year: i32,
        month: u8,
        day: u8,
        time: Time,
        offset: Option<i16>,
        precision: Precision,
    ) -> Option<Self> {
        let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
        Some(Self { local: PrimitiveDateTime::new(date, time), offset, precision })
    }

    pub(crate) fn now(now: Timestamp) -> Option<Self> {
        let micros = i128::from(now.as_micros() / 1000 * 1000);
        Self::from_nanos(micros * 1000, Precision::Fraction(3))
    }

    /// Nanoseconds since 1970.
    pub(crate) fn from_nanos(nanos: i128, precision: Precision) -> Option<Self> {
        let at = time::OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        (1..=9999).contains(&at.year()).then_some(())?;
        Some(Self { local: PrimitiveDateTime::new(at.date(), at.time()), offset: Some(0), precision })
    }

    fn nanos(&self) -> i128 {
        let offset = i128::from(self.offset.unwrap_or(0)) * 60_000_000_000;
        self.local.assume_utc().unix_timestamp_nanos() - offset
    }

    /// By the instant alone.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        self.nanos().cmp(&other.nanos())
    }

    /// With so many units more; `None` when that is no date.
    pub(crate) fn add(mut self, part: Part, quantity: i64) -> Option<Self> {
        let seconds = match part {
            Part::Year => return self.add_months(quantity.checked_mul(12)?, Precision::Year),
            Part::Month => return self.add_months(quantity, Precision::Month),
            Part::Day => quantity.checked_mul(86_400)?,
            Part::Hour => quantity.checked_mul(3600)?,
            Part::Minute => quantity.checked_mul(60)?,
            Part::Second => quantity,
            Part::TimezoneHour | Part::TimezoneMinute => return None,
        };
        self.local = self.local.checked_add(time::Duration::seconds(seconds))?;
        self.precision = self.precision.max(match part {
            Part::Day => Precision::Day,
            Part::Hour | Part::Minute => Precision::Minute,
            _ => Precision::Second,
        });
        (1..=9999).contains(&self.local.year()).then_some(self)
    }

    fn add_months(mut self, months: i64, precision: Precision) -> Option<Self> {
        let date = self.local.date();
        let months =
            (i64::from(date.year()) * 12 + i64::from(u8::from(date.month())) - 1).checked_add(months)?;
        let year = i32::try_from(months.div_euclid(12)).ok().filter(|year| (1..=9999).contains(year))?;
        let month = Month::try_from(u8::try_from(months.rem_euclid(12) + 1).ok()?).ok()?;
        // The last day of a shorter month.
        let date = Date::from_calendar_date(year, month, date.day().min(month.length(year))).ok()?;
        self.local = self.local.replace_date(date);
        self.precision = self.precision.max(precision);
        Some(self)
    }

    /// How many whole units lie between them.
    pub(crate) fn difference(&self, part: Part, later: &Self) -> Option<i64> {
        let seconds =
            |unit: i128| i64::try_from((later.nanos() - self.nanos()) / (unit * 1_000_000_000)).ok();
        match part {
            Part::Year => Some(self.months(later)? / 12),
            Part::Month => self.months(later),
            Part::Day => seconds(86_400),
            Part::Hour => seconds(3600),
            Part::Minute => seconds(60),
            Part::Second => seconds(1),
            Part::TimezoneHour | Part::TimezoneMinute => None,
        }
    }

    fn months(&self, later: &Self) -> Option<i64> {
        let utc = |of: &Self| Self::from_nanos(of.nanos(), of.precision).map(|at| at.local);
        let (from, to) = (utc(self)?, utc(later)?);
        let count = |at: &PrimitiveDateTime| i64::from(at.year()) * 12 + i64::from(u8::from(at.month()));
        let within = |at: &PrimitiveDateTime| (at.day(), at.time());
        let months = count(&to) - count(&from);
        Some(match months {
            1.. if within(&to) < within(&from) => months - 1,
            ..=-1 if within(&to) > within(&from) => months + 1,
            _ => months,
        })
    }

    pub(crate) fn part(&self, part: Part) -> i64 {
        let offset = i64::from(self.offset.unwrap_or(0));
        match part {
            Part::Year => i64::from(self.local.year()),
            Part::Month => i64::from(u8::from(self.local.month())),
            Part::Day => i64::from(self.local.day()),
            Part::Hour => i64::from(self.local.hour()),
            Part::Minute => i64::from(self.local.minute()),
            Part::Second => i64::from(self.local.second()),
            Part::TimezoneHour => offset / 60,
            Part::TimezoneMinute => offset % 60,
        }
    }
}

/// `Z`, `+hh:mm`, `-hh:mm`, `-00:00` for one that is not known.
fn offset(text: &str) -> Option<Option<i16>> {
    if text == "Z" {
        return Some(Some(0));
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut rest = &text[1..];
    let hours: i16 = number(&mut rest, 2)?;
    taken(&mut rest, ":")?;
    let minutes: i16 = number(&mut rest, 2)?;
    if !rest.is_empty() || hours > 23 || minutes > 59 {
        return None;
    }
    if text == "-00:00" {
        return Some(None);
    }
    Some(Some(sign * (hours * 60 + minutes)))
}

/// Exactly so many digits at the front.
fn number<T: std::str::FromStr>(rest: &mut &str, digits: usize) -> Option<T> {
    let text = rest.get(..digits).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    *rest = &rest[digits..];
    text.parse().ok()
}

fn taken(rest: &mut &str, mark: &str) -> Option<()> {
    *rest = rest.strip_prefix(mark)?;
    Some(())
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.local.date(), self.local.time());
        write!(f, "{:04}", date.year())?;
        if self.precision >= Precision::Month {
            write!(f, "-{:02}", u8::from(date.month()))?;
        }
        if self.precision >= Precision::Day {
            write!(f, "-{:02}", date.day())?;
        }
        // A day needs no closing mark (the services' examples of DATE_ADD show none).
        if self.precision == Precision::Day {
            return Ok(());
        }
        f.write_str("T")?;
        if self.precision < Precision::Minute {
            return Ok(());
        }
        write!(f, "{:02}:{:02}", time.hour(), time.minute())?;
        if self.precision >= Precision::Second {
            write!(f, ":{:02}", time.second())?;
        }
        if let Precision::Fraction(digits) = self.precision {
            let nanos = format!("{:09}", time.nanosecond());
            write!(f, ".{}", &nanos[..usize::from(digits).min(9)])?;
        }
        match self.offset {
            None => f.write_str("-00:00"),
            Some(0) => f.write_str("Z"),
            Some(offset) => write!(
                f,
                "{}{:02}:{:02}",
                if offset < 0 { '-' } else { '+' },
                offset.abs() / 60,
                offset.abs() % 60
            ),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn text_there_and_back() {
        for text in [
            "2007T",
            "2007-02T",
            "2007-02-23",
            "2007-02-23T12:14Z",
            "2007-02-23T12:14:33-08:00",
            "2007-02-23T12:14:33.079-08:00",
            "2007-02-23T00:00-00:00",
        ] {
            assert_eq!(at(text).to_string(), text);
        }
        assert_eq!(at("2010-01-01T").to_string(), "2010-01-01");
        for text in [
            "",
            "2007",
            "0000T",
            "2007-13T",
            "2007-02-30",
            "2007-02-23T12:14",
            "2007-02-23T24:00Z",
            "2007-02-23T1:00Z",
            "2007-02-23T12:14:33.Z",
        ] {
            assert!(Moment::parse(text).is_none(), "{text}");
        }
    }

    /// The examples of DATE_ADD, DATE_DIFF and EXTRACT in the S3 user guide; where its DATE_DIFF of years
    /// contradicts itself, whole units count as for days.
    #[test]
    fn the_guides_examples() {
        use Part::*;
        for (part, quantity, from, want) in [
            (Year, 5, "2010-01-01T", "2015-01-01"),
            (Month, 1, "2010T", "2010-02T"),
            (Month, 13, "2010T", "2011-02T"),
            (Day, -1, "2017-01-10T", "2017-01-09"),
            (Hour, 1, "2017T", "2017-01-01T01:00-00:00"),
            (Hour, 1, "2017-01-02T03:04Z", "2017-01-02T04:04Z"),
            (Minute, 1, "2017-01-02T03:04:05.006Z", "2017-01-02T03:05:05.006Z"),
            (Second, 1, "2017-01-02T03:04:05.006Z", "2017-01-02T03:04:06.006Z"),
            (Month, 1, "2017-01-31", "2017-02-28"),
        ] {
            assert_eq!(at(from).add(part, quantity).unwrap().to_string(), want, "{part:?} {quantity} {from}");
        }
        for (part, from, to, want) in [
            (Year, "2010-01-01T", "2011-01-01T", 1),
            (Year, "2010T", "2010-05T", 0),
            (Month, "2010T", "2010-05T", 4),
            (Month, "2010T", "2011T", 12),
            (Month, "2011T", "2010T", -12),
            (Day, "2010-01-01T23:00Z", "2010-01-02T01:00Z", 0),
            (Day, "2010-01-01T23:00Z", "2010-01-02T23:00Z", 1),
            (Hour, "2010-01-01T00:00+01:00", "2010-01-01T00:00Z", 1),
        ] {
            assert_eq!(at(from).difference(part, &at(to)), Some(want), "{part:?} {from} {to}");
        }
        let when = at("2017-01-02T03:04:05+07:08");
        for (part, want) in [(Hour, 3), (Minute, 4), (Second, 5), (TimezoneHour, 7), (TimezoneMinute, 8)] {
            assert_eq!(when.part(part), want);
        }
        assert_eq!(at("2010-10T").part(Month), 10);
        assert!(at("9999T").add(Year, 1).is_none());
        assert!(at("2010T").add(Year, i64::MAX).is_none());
        assert!(at("2010T").add(Second, i64::MAX).is_none());
    }
}
