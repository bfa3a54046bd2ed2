//! What was asked to be purged and prefetched: kept for a month, listed, and counted by the day.

use std::time::Duration;

use cosette_model::Timestamp;
use cosette_store::{Store, Table, Tx};
use serde::{Deserialize, Serialize};

use crate::domain::{self, Area};
use crate::error::Error;
use crate::place::Place;

const DAY: Duration = Duration::from_secs(86_400);
/// How long a record is there to be asked for.
pub const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Old records that one commit removes.
const SWEEP: usize = 2 * 1000;
/// Records read at once.
const PAGE: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A purge of one URL.
    Url,
    /// A purge of a folder.
    Path,
    /// A prefetch.
    Push,
}

impl Kind {
    /// URLs that one call takes, and a day, in each area (guides 228/33601, 33602, 33600).
    pub const fn limits(self) -> (usize, usize) {
        match self {
            Self::Url => (1000, 10_000),
            Self::Path => (20, 100),
            Self::Push => (500, 1000),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Path => "path",
            Self::Push => "push",
        }
    }
}

/// What becomes of what is in a folder that is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flush {
    /// It is checked at the origin before it is used again.
    Flush,
    /// It is gone.
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Process,
    Done,
    Fail,
    /// The origin has answered 4xx or 5xx.
    Invalid,
}

/// One URL of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Of the call: all its URLs have it.
    pub id: String,
    pub appid: String,
    pub kind: Kind,
    /// As it was given.
    pub url: String,
    pub flush: Flush,
    pub area: Area,
    pub status: Status,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Of a prefetch: what is said to the origin, `User-Agent` among it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// What is asked for by one call.
#[derive(Clone, Debug)]
pub struct Ask {
    pub appid: String,
    pub kind: Kind,
    pub urls: Vec<String>,
    pub flush: Flush,
    /// Left out, it is the domain's.
    pub area: Option<Area>,
    pub headers: Vec<(String, String)>,
}

/// A day's use of one area.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Used {
    day: u64,
    count: usize,
}

/// A task's key, and where it leads.
pub(crate) type Placed = (Vec<u8>, Place);

/// Writes one row for each URL. All are taken or none.
///
/// # Errors
/// All of [`Error`] but `Exists`, `TooMany` and `Running`.
pub(crate) fn write(tx: &mut Tx<'_>, ask: Ask) -> Result<(String, Vec<Placed>), Error> {
    let (batch, _) = ask.kind.limits();
    if ask.urls.len() > batch {
        return Err(Error::Batch { kind: ask.kind, max: batch });
    }
    let id = id(ask.kind, tx);
    let mut placed = Vec::with_capacity(ask.urls.len());
    let mut wanted = [(Area::Mainland, 0), (Area::Overseas, 0)];
    let mut rows = Vec::with_capacity(ask.urls.len());
    for (at, url) in (0_u16..).zip(&ask.urls) {
        let mut place = Place::read(url)?;
        if ask.kind == Kind::Path && (place.query.is_some() || !place.path.ends_with(b"/")) {
            return Err(Error::Invalid(format!("{url} is no folder: it does not end with /")));
        }
        let domain = domain::own(tx, &place.domain, &ask.appid)?;
        if ask.kind == Kind::Push && !domain.online {
            return Err(Error::Stopped(place.domain));
        }
        if !domain.setup.full_url {
            place.query = None;
        }
        let area = ask.area.unwrap_or(domain.setup.area);
        if !domain.setup.area.covers(area) {
            return Err(Error::Invalid(format!("the domain {} is not served in that area", place.domain)));
        }
        for (part, count) in &mut wanted {
            *count += usize::from(area.parts().contains(part));
        }
        let task = Task {
            id: id.clone(),
            appid: ask.appid.clone(),
            kind: ask.kind,
            url: url.clone(),
            flush: ask.flush,
            area,
            status: if ask.kind == Kind::Push { Status::Process } else { Status::Done },
            created: tx.now(),
            updated: tx.now(),
            headers: ask.headers.clone(),
        };
        let mut key = tx.seq().0.to_be_bytes().to_vec();
        key.extend(at.to_be_bytes());
        rows.push((key.clone(), encode(&task)?));
        placed.push((key, place));
    }
    for (area, count) in wanted {
        spend(tx, &ask.appid, ask.kind, area, count)?;
    }
    for (key, row) in rows {
        tx.put(Table::CdnTask, &key, row);
    }
    sweep(tx)?;
    Ok((id, placed))
}

/// Purges are `1533045796-i60rfmzm`, prefetches digits (scf.md 9).
fn id(kind: Kind, tx: &Tx<'_>) -> String {
    let (secs, seq) = (tx.now().as_secs(), tx.seq().0);
    match kind {
        Kind::Push => format!("{secs}{seq:013}"),
        Kind::Url | Kind::Path => format!("{secs}-{seq:08x}"),
    }
}

fn quota_key(appid: &str, kind: Kind, area: Area) -> Vec<u8> {
    let area = area_name(area);
    format!("{appid}/{}/{area}", kind.name()).into_bytes()
}

fn area_name(area: Area) -> &'static str {
    match area {
        Area::Mainland => "mainland",
        Area::Overseas => "overseas",
        Area::Global => "global",
    }
}

/// Days begin at midnight of UTC.
fn today(now: Timestamp) -> u64 {
    now.as_secs() / DAY.as_secs()
}

fn spend(tx: &mut Tx<'_>, appid: &str, kind: Kind, area: Area, count: usize) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    let key = quota_key(appid, kind, area);
    let day = today(tx.now());
    let before = tx.get(Table::CdnQuota, &key)?.map(|row| used(&row, day)).transpose()?.unwrap_or_default();
    let (_, max) = kind.limits();
    if before + count > max {
        let left = max.saturating_sub(before);
        return Err(Error::Day { kind, area: area_name(area), max, left });
    }
    let row = serde_json::to_vec(&Used { day, count: before + count }).map_err(damaged)?;
    tx.put(Table::CdnQuota, &key, row);
    Ok(())
}

fn used(row: &[u8], day: u64) -> cosette_store::Result<usize> {
    let used: Used = serde_json::from_slice(row).map_err(damaged)?;
    Ok(if used.day == day { used.count } else { 0 })
}

/// How many URLs are left of today.
pub(crate) fn left(
    store: &Store,
    appid: &str,
    kind: Kind,
    area: Area,
    now: Timestamp,
) -> cosette_store::Result<usize> {
    let row = store.get(Table::CdnQuota, &quota_key(appid, kind, area))?;
    let used = row.map(|row| used(&row, today(now))).transpose()?.unwrap_or_default();
    Ok(kind.limits().1.saturating_sub(used))
}

/// Removes some of what is too old.
fn sweep(tx: &mut Tx<'_>) -> cosette_store::Result<()> {
    let now = tx.now();
    for (key, row) in tx.scan(Table::CdnTask, &[], SWEEP)? {
        if now.since(decode(&row)?.created) <= KEPT {
            break;
        }
        tx.delete(Table::CdnTask, &key);
    }
    Ok(())
}

/// Calls `each` for every task, oldest first.
pub(crate) fn walk(store: &Store, mut each: impl FnMut(Vec<u8>, Task)) -> cosette_store::Result<()> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = store.scan(Table::CdnTask, &[], after.as_deref(), PAGE)?;
        let whole = rows.len() < PAGE;
        for (key, row) in rows {
            after = Some(key.clone());
            each(key, decode(&row)?);
        }
        if whole {
            return Ok(());
        }
    }
}

/// How a prefetch has ended.
pub(crate) fn end(tx: &mut Tx<'_>, key: &[u8], status: Status) -> cosette_store::Result<()> {
    if let Some(row) = tx.get(Table::CdnTask, key)? {
        let task = Task { status, updated: tx.now(), ..decode(&row)? };
        tx.put(Table::CdnTask, key, encode(&task)?);
    }
    Ok(())
}

fn encode(task: &Task) -> cosette_store::Result<Vec<u8>> {
    serde_json::to_vec(task).map_err(damaged)
}

fn decode(row: &[u8]) -> cosette_store::Result<Task> {
    serde_json::from_slice(row).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> cosette_store::Error {
    cosette_store::Error::Corrupt { what: format!("row of a CDN task: {error}") }
}
