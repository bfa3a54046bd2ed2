//! Points in time, in microseconds since the Unix epoch.
//!
//! Only the `clock` crate makes a `Timestamp` of *now*; here are the value and its spellings.

use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::BorrowedFormatItem;
use ::time::format_description::well_known::{Rfc2822, Rfc3339};
use ::time::macros::format_description;
use serde::{Deserialize, Serialize};

/// A point in time: whole microseconds since 1970-01-01T00:00:00Z, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

const ISO_MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const ISO_SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const BASIC: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const PLAIN: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

impl Timestamp {
    /// The last second that can be written, of the year 9999.
    pub const END: Self = Self::from_secs(253_402_300_799);

    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    pub const fn as_micros(self) -> u64 {
        self.0
    }

    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    fn calendar(self) -> OffsetDateTime {
        // Anything later than `time` can show is shown as the last second.
        let secs = i64::try_from(self.as_secs().min(Self::END.as_secs())).unwrap_or_default();
        let micros = i64::try_from(self.0 % 1_000_000).unwrap_or(0);
        OffsetDateTime::from_unix_timestamp(secs).unwrap_or(OffsetDateTime::UNIX_EPOCH)
            + ::time::Duration::microseconds(micros)
    }

    fn show(self, format: &[BorrowedFormatItem<'_>]) -> String {
        self.calendar().format(format).unwrap_or_default()
    }

    /// `2020-12-10T03:37:30.000Z`, the form of XML listings in both dialects.
    pub fn iso_millis(self) -> String {
        self.show(ISO_MILLIS)
    }

    /// `2019-05-24T11:49:50Z`, the form of COS bucket listings and copy results.
    pub fn iso_seconds(self) -> String {
        self.show(ISO_SECONDS)
    }

    /// `20130524T000000Z`, the form of `X-Amz-Date`.
    pub fn basic(self) -> String {
        self.show(BASIC)
    }

    /// `2020-04-15 21:48:55` in UTC, the form of the SCF API's times.
    pub fn plain(self) -> String {
        self.show(PLAIN)
    }

    /// Reads any RFC 3339 time. `None` when it is not one or lies before 1970.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        Self::of(OffsetDateTime::parse(text, &Rfc3339).ok()?)
    }

    /// Reads `Tue, 27 Mar 2007 19:36:42 +0000`, also with `GMT` for its zone.
    pub fn parse_rfc2822(text: &str) -> Option<Self> {
        Self::of(OffsetDateTime::parse(text, &Rfc2822).ok()?)
    }

    /// Reads `20130524T000000Z`.
    pub fn parse_basic(text: &str) -> Option<Self> {
        Self::of(::time::PrimitiveDateTime::parse(text, BASIC).ok()?.assume_utc())
    }

    /// Reads `2020-04-15 21:48:55` as UTC.
    pub fn parse_plain(text: &str) -> Option<Self> {
        Self::of(::time::PrimitiveDateTime::parse(text, PLAIN).ok()?.assume_utc())
    }

    fn of(when: OffsetDateTime) -> Option<Self> {
        u64::try_from(when.unix_timestamp_nanos() / 1_000).ok().map(Self)
    }
}

/// What time it is, twice: clients sign with the machine's, wherever the product's clock has been moved to, so
/// the times in a signature are the machine's, and all others are shown ones.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// As shown.
    pub now: Timestamp,
    pub machine: Timestamp,
}

/// Of a clock that was never moved.
impl From<Timestamp> for Times {
    fn from(now: Timestamp) -> Self {
        Self { now, machine: now }
    }
}

/// The day that the service's own work counts in: lifecycle rules, reports. 24 hours from midnight
/// UTC, or shorter for tests; days then follow one another from 1970 on just as midnights do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(u64);

impl Default for Day {
    fn default() -> Self {
        Self(24 * 3600 * 1_000_000)
    }
}

impl Day {
    /// `None` for no time at all.
    pub fn of(length: Duration) -> Option<Self> {
        u64::try_from(length.as_micros()).ok().filter(|micros| *micros > 0).map(Self)
    }

    pub const fn length(self) -> Duration {
        Duration::from_micros(self.0)
    }

    /// When the day that holds `time` began.
    pub const fn start(self, time: Timestamp) -> Timestamp {
        Timestamp(time.0 - time.0 % self.0)
    }

    /// When the day after it begins.
    pub const fn next(self, time: Timestamp) -> Timestamp {
        Timestamp(self.start(time).0.saturating_add(self.0))
    }

    /// `days` after `time`, at a day's beginning, rounded up: how lifecycle rules count.
    pub const fn after(self, time: Timestamp, days: u32) -> Timestamp {
        let end = time.0.saturating_add(self.0.saturating_mul(days as u64));
        Timestamp(end.div_ceil(self.0).saturating_mul(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_and_a_short_one_does_as_they_do() {
        let at = |text| Timestamp::parse_rfc3339(text).unwrap_or_default();
        // The example of S3's documentation: created on the 15th at 10:30, three days, the 19th.
        let day = Day::default();
        assert_eq!(day.after(at("2014-01-15T10:30:00Z"), 3), at("2014-01-19T00:00:00Z"));
        assert_eq!(day.after(at("2014-01-15T00:00:00Z"), 3), at("2014-01-18T00:00:00Z"));
        assert_eq!(day.start(at("2014-01-15T10:30:00Z")), at("2014-01-15T00:00:00Z"));
        assert_eq!(day.next(at("2014-01-15T00:00:00Z")), at("2014-01-16T00:00:00Z"));
        let short = Day::of(Duration::from_secs(10)).unwrap_or_default();
        assert_eq!(short.after(Timestamp::from_secs(101), 1), Timestamp::from_secs(120));
        assert_eq!(short.length(), Duration::from_secs(10));
        assert_eq!(Day::of(Duration::ZERO), None);
        assert_eq!(day.after(Timestamp::from_micros(u64::MAX), u32::MAX).as_secs(), u64::MAX / 1_000_000);
    }

    #[test]
    fn spellings_round_trip() {
        let t = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(t.iso_millis(), "2023-11-14T22:13:20.123Z");
        assert_eq!(t.iso_seconds(), "2023-11-14T22:13:20Z");
        assert_eq!(t.basic(), "20231114T221320Z");
        assert_eq!(t.plain(), "2023-11-14 22:13:20");
        assert_eq!(Timestamp::parse_rfc3339("2023-11-14T22:13:20.123456Z"), Some(t));
        for text in ["Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 23:13:20 +0100"] {
            assert_eq!(Timestamp::parse_rfc2822(text), Some(Timestamp::from_secs(1_700_000_000)));
        }
        assert_eq!(Timestamp::parse_basic("20231114T221320Z"), Some(Timestamp::from_secs(1_700_000_000)));
        assert_eq!(Timestamp::parse_plain("2023-11-14 22:13:20"), Some(Timestamp::from_secs(1_700_000_000)));
    }

    #[test]
    fn far_future_still_prints() {
        assert_eq!(Timestamp::from_micros(u64::MAX).iso_seconds(), "9999-12-31T23:59:59Z");
    }
}
