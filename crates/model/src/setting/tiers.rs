//! What the rules of intelligent tiering make of an object, and when. Pure, as [`due`](super::due) is.
//!
//! Days without a read end at a day's beginning, as those of lifecycle rules do.

use super::{Act, Aged, Due, IntelligentTiering, ObjectFilter, Outlook, Status};
use crate::{AccessTier, ArchiveTier, Day, Restore, StorageClass, Timestamp};

/// Days without a read after which S3 moves an object by itself (S3, "How S3 Intelligent-Tiering works").
const S3_INFREQUENT: u32 = 30;
const S3_ARCHIVE_INSTANT: u32 = 90;
/// Smaller ones it leaves where they are, in bytes.
const S3_SIZE_MIN: u64 = 128 << 10;

/// The rules of a bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tiers(pub Vec<IntelligentTiering>);

impl IntelligentTiering {
    fn is_for(&self, version: &Aged<'_>) -> bool {
        let filter = self.filter.as_ref();
        let holds = |filter: &ObjectFilter| match version.tags {
            Some(tags) => filter.holds(version.key, |name| tags.get(name).map(String::as_str)),
            None => filter.prefix.as_deref().is_none_or(|prefix| version.key.starts_with(prefix)),
        };
        !version.marker
            && version.class.is_tiered()
            && !self.small.stays(version.size, StorageClass::Standard)
            && filter.is_none_or(holds)
    }

    fn archives(&self) -> impl Iterator<Item = (ArchiveTier, u32)> {
        self.tiers.iter().filter_map(|tier| Some((ArchiveTier::parse(&tier.name)?, tier.days)))
    }
}

impl Aged<'_> {
    /// When it was last read, as far as it is known.
    pub fn accessed(&self) -> Timestamp {
        self.tiering.accessed.unwrap_or_default().max(self.written)
    }
}

impl Tiers {
    /// Rules in force that archive.
    fn archiving(&self) -> impl Iterator<Item = &IntelligentTiering> {
        self.0.iter().filter(|rule| rule.status == Status::Enabled && rule.archives().next().is_some())
    }

    /// Whether no object is ever archived by them.
    pub fn is_idle(&self) -> bool {
        self.archiving().next().is_none()
    }

    /// The prefixes of keys that may be archived.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        let filters = self.archiving().map(|rule| rule.filter.as_ref());
        filters.map(|filter| filter.and_then(|filter| filter.prefix.as_deref()).unwrap_or_default())
    }

    /// When the first object that is written or read after `time` can come due.
    pub fn earliest(&self, day: Day, time: Timestamp) -> Option<Timestamp> {
        let days = self.archiving().flat_map(IntelligentTiering::archives).map(|(_, days)| days).min();
        days.map(|days| day.after(time, days))
    }

    /// Into which archive tier an object goes at `now`: the deepest that is due.
    pub fn outlook(&self, day: Day, now: Timestamp, version: &Aged<'_>) -> Outlook<'_> {
        let mut outlook = Outlook::default();
        let (tiering, restore) = version.tiering.at(version.class, version.restore, now);
        // It is on its way up.
        if matches!(restore, Some(Restore::Ongoing { .. })) {
            return outlook;
        }
        let settled = Aged { tiering, restore, ..*version };
        for rule in self.archiving().filter(|rule| rule.is_for(version)) {
            for (tier, days) in rule.archives().filter(|(tier, _)| Some(*tier) > tiering.archived) {
                let at = day.after(settled.accessed(), days);
                let deeper = |due: Due<'_>| matches!(due.act, Act::Archive(before) if before >= tier);
                if at > now {
                    outlook.later(at);
                } else if !outlook.now.is_some_and(deeper) {
                    outlook.now = Some(Due { act: Act::Archive(tier), at, rule: &rule.id });
                }
            }
        }
        outlook
    }

    /// Where COS shows an object to lie. `None`: it is of another class.
    pub fn cos_tier(&self, day: Day, now: Timestamp, version: &Aged<'_>) -> Option<AccessTier> {
        self.tier(now, version, |settled| {
            let idle = |rule: &IntelligentTiering| {
                let days = rule.tiers.iter().filter(|tier| tier.name == "INFREQUENT").map(|tier| tier.days);
                days.min().is_some_and(|days| day.after(settled.accessed(), days) <= now)
            };
            let rules = self.0.iter().filter(|rule| rule.status == Status::Enabled);
            let idle = rules.filter(|rule| rule.is_for(settled)).any(idle);
            if idle { AccessTier::Infrequent } else { AccessTier::Frequent }
        })
    }

    /// The same of S3, which moves objects without a rule.
    pub fn s3_tier(&self, day: Day, now: Timestamp, version: &Aged<'_>) -> Option<AccessTier> {
        self.tier(now, version, |settled| {
            let idle = |days| settled.size >= S3_SIZE_MIN && day.after(settled.accessed(), days) <= now;
            match () {
                () if idle(S3_ARCHIVE_INSTANT) => AccessTier::ArchiveInstant,
                () if idle(S3_INFREQUENT) => AccessTier::Infrequent,
                () => AccessTier::Frequent,
            }
        })
    }

    fn tier(
        &self,
        now: Timestamp,
        version: &Aged<'_>,
        live: impl FnOnce(&Aged<'_>) -> AccessTier,
    ) -> Option<AccessTier> {
        if version.marker || !version.class.is_tiered() {
            return None;
        }
        let (tiering, restore) = version.tiering.at(version.class, version.restore, now);
        Some(match tiering.archived {
            Some(tier) => AccessTier::Archived(tier),
            None => live(&Aged { tiering, restore, ..*version }),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::setting::{SmallObjects, Standing, Tier};
    use crate::{Lock, RestoreTier, Tiering};

    const DAY: u64 = 24 * 3600;

    /// Half a day into a day.
    fn at(days: u64) -> Timestamp {
        Timestamp::from_secs(1_700_006_400 + days * DAY + DAY / 2)
    }

    fn rule(id: &str, tiers: &[(&str, u32)]) -> IntelligentTiering {
        let tiers = tiers.iter();
        let tiers = tiers.map(|(name, days)| Tier { name: (*name).into(), days: *days, frequent: None });
        IntelligentTiering {
            id: id.into(),
            made: 0,
            status: Status::Enabled,
            filter: None,
            tiers: tiers.collect(),
            small: SmallObjects::Move,
        }
    }

    fn object(key: &str) -> Aged<'_> {
        Aged {
            key,
            standing: Standing::Only,
            marker: false,
            written: at(0),
            size: 3,
            class: StorageClass::IntelligentTiering,
            tags: None,
            lock: Lock::default(),
            tiering: Tiering::default(),
            restore: None,
        }
    }

    #[test]
    fn objects_that_nobody_reads_are_archived() {
        let both = rule("both", &[("ARCHIVE_ACCESS", 90), ("DEEP_ARCHIVE_ACCESS", 180)]);
        let rules = Tiers(vec![both]);
        let day = Day::default();
        let due = |now, version: &Aged<'_>| rules.outlook(day, now, version).now.map(|due| due.act);
        let some = object("k");
        assert_eq!(due(at(90), &some), None);
        assert_eq!(rules.outlook(day, at(90), &some).next, Some(day.after(at(0), 90)));
        assert_eq!(due(at(91), &some), Some(Act::Archive(ArchiveTier::Archive)));
        assert_eq!(due(at(181), &some), Some(Act::Archive(ArchiveTier::DeepArchive)));
        let archived = |archived, accessed| Tiering { archived: Some(archived), accessed };
        let first = Aged { tiering: archived(ArchiveTier::Archive, None), ..some };
        assert_eq!(due(at(180), &first), None);
        assert_eq!(due(at(181), &first), Some(Act::Archive(ArchiveTier::DeepArchive)));
        let last = Aged { tiering: archived(ArchiveTier::DeepArchive, None), ..some };
        assert_eq!(rules.outlook(day, at(999), &last), Outlook::default());
        // A read puts it off, and so does a restore that has ended.
        let read = Aged { tiering: Tiering { accessed: Some(at(50)), archived: None }, ..some };
        assert_eq!((due(at(140), &read), due(at(141), &read).is_some()), (None, true));
        let restore = Some(Restore::Ongoing { tier: RestoreTier::Bulk, days: 0, requested: at(185) });
        let rising = Aged { restore, ..first };
        assert_eq!(due(at(185), &rising), None);
        assert_eq!((due(at(275), &rising), due(at(276), &rising).is_some()), (None, true));
        for other in [Aged { class: StorageClass::Standard, ..some }, Aged { marker: true, ..some }] {
            assert_eq!(rules.outlook(day, at(999), &other), Outlook::default());
        }
        assert_eq!(rules.earliest(day, at(1)), Some(day.after(at(1), 90)));
    }

    #[test]
    fn rules_are_for_some_objects() {
        let filter = Some(ObjectFilter {
            prefix: Some("a/".into()),
            tags: vec![("t".into(), "1".into())],
            access_point: None,
        });
        let some = IntelligentTiering { filter, ..rule("some", &[("ARCHIVE_ACCESS", 90)]) };
        let off = IntelligentTiering { status: Status::Disabled, ..rule("off", &[("ARCHIVE_ACCESS", 90)]) };
        let rules = Tiers(vec![some.clone(), off.clone()]);
        assert_eq!(rules.prefixes().collect::<Vec<_>>(), ["a/"]);
        let due = |version: &Aged<'_>| rules.outlook(Day::default(), at(99), version).now.is_some();
        let (with, without) = ([("t".to_owned(), "1".to_owned())].into(), Default::default());
        assert!(due(&object("a/k")), "as long as the tags are not known");
        assert!(due(&Aged { tags: Some(&with), ..object("a/k") }));
        assert!(!due(&Aged { tags: Some(&without), ..object("a/k") }));
        assert!(!due(&Aged { tags: Some(&with), ..object("b/k") }));
        assert!(Tiers(vec![off, rule("default", &[("INFREQUENT", 30)])]).is_idle());
        let large = Tiers(vec![IntelligentTiering { small: SmallObjects::Stay, ..some }]);
        assert_eq!(large.outlook(Day::default(), at(99), &object("a/k")), Outlook::default());
    }

    #[test]
    fn what_is_shown() {
        let (day, none) = (Day::default(), Tiers::default());
        let default = Tiers(vec![rule("default", &[("INFREQUENT", 60)])]);
        let (some, large) = (object("k"), Aged { size: 1 << 20, ..object("k") });
        use AccessTier::{ArchiveInstant, Archived, Frequent, Infrequent};
        assert_eq!(none.cos_tier(day, at(999), &some), Some(Frequent));
        assert_eq!(default.cos_tier(day, at(60), &some), Some(Frequent));
        assert_eq!(default.cos_tier(day, at(61), &some), Some(Infrequent));
        let read = Aged { tiering: Tiering { accessed: Some(at(60)), archived: None }, ..some };
        assert_eq!(default.cos_tier(day, at(61), &read), Some(Frequent));
        assert_eq!(none.s3_tier(day, at(999), &some), Some(Frequent));
        for (days, tier) in [(30, Frequent), (31, Infrequent), (90, Infrequent), (91, ArchiveInstant)] {
            assert_eq!(none.s3_tier(day, at(days), &large), Some(tier), "{days}");
        }
        let tiering = Tiering { accessed: None, archived: Some(ArchiveTier::Archive) };
        let cold = Aged { tiering, ..some };
        assert_eq!(none.cos_tier(day, at(1), &cold), Some(Archived(ArchiveTier::Archive)));
        assert_eq!(none.cos_tier(day, at(1), &Aged { class: StorageClass::Archive, ..cold }), None);
    }
}
