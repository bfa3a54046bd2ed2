//! A real process is killed while it writes, many times over one directory; everything it said it
//! had done must be there. The process is this test binary, told by a variable to be the writer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};

use cosette_model::{ChangeKind, EventType, Seq};

use super::*;
use crate::verify;

const DIRECTORY: &str = "COSETTE_KILL_TEST_DIR";
const ROUND: &str = "COSETTE_KILL_TEST_ROUND";
const ROUNDS: u32 = 12;
const WRITERS: u64 = 8;
/// One key for each writer and these; each is written again and again.
const KEYS: u64 = 4;

/// Every seventh body is large enough to have a file.
fn body(round: u32, writer: u64, n: u64) -> Vec<u8> {
    let len = if n % 7 == 3 { 40_000 } else { 300 };
    bytes(len, u64::from(round) << 40 | writer << 32 | n)
}

fn options(dir: &Path) -> Options {
    Options { dir: Some(dir.to_owned()), durability: Durability::Strict, cache_bytes: 8 << 20 }
}

/// Does nothing unless it is the child of the test below.
#[tokio::test(flavor = "multi_thread")]
async fn the_writer_that_is_killed() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let round: u32 = std::env::var(ROUND).unwrap().parse().unwrap();
    // Checkpoints, snapshots, removals, moved bodies and new segments happen all the time, so
    // kills hit them too.
    let settings =
        Settings { segment_max: 60_000, snapshot_after: 0, waste_min: 0, waste_percent: 10, ..quick() };
    let store = Store::open_with(options(Path::new(&dir)), clock(), Disk::default(), settings).unwrap();
    if round == 0 {
        create(&store, "bucket").await.unwrap();
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let object = format!("{writer}/{}", n % KEYS);
                    put(&store, "bucket", &object, &body(round, writer, n)).await.unwrap();
                    // One write call a line, so that lines are whole.
                    std::io::stdout().write_all(format!("did {writer} {n}\n").as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_kills() {
    let scratch = Scratch::new();
    // What each key must hold: the last acknowledged write, or the one after, which may have been
    // made durable without a chance to say so.
    let mut last: BTreeMap<(u64, u64), (u32, u64)> = BTreeMap::new();
    let mut acknowledged = 0u64;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::kill::the_writer_that_is_killed", "--nocapture"])
            .env(DIRECTORY, scratch.path())
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Different lengths of life; the lines that come after the kill count as well.
        let mut left = 40 + u64::from(round) * 37;
        let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
        while let Some(Ok(line)) = lines.next() {
            let words: Vec<&str> = line.split(' ').collect();
            let ["did", writer, n] = words[..] else { continue };
            seen.insert(writer.parse().unwrap(), n.parse().unwrap());
            acknowledged += 1;
            left = left.saturating_sub(1);
            if left == 0 {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success(), "it ended by itself");
        for (writer, n) in &seen {
            for back in 0..=(*n).min(KEYS - 1) {
                last.insert((*writer, (n - back) % KEYS), (round, n - back));
            }
        }
        let report = verify(scratch.path(), &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(report.is_sound(), "round {round}: {report:?}");
        let store = Store::open(options(scratch.path()), clock()).unwrap();
        let changes = store.changes(Seq(0), usize::MAX).unwrap();
        let puts: Vec<_> = changes
            .iter()
            .filter(|change| change.kind == ChangeKind::Object(EventType::CreatedPut))
            .collect();
        assert!(puts.len() as u64 >= acknowledged, "a change is missing");
        for writer in 0..WRITERS {
            for slot in 0..KEYS {
                let object = format!("{writer}/{slot}");
                // The writer's next write was under way when it was killed.
                let under_way = seen.get(&writer).map_or(0, |n| n + 1);
                let allowed: Vec<Vec<u8>> = last
                    .get(&(writer, slot))
                    .map(|(round, n)| body(*round, writer, *n))
                    .into_iter()
                    .chain((under_way % KEYS == slot).then(|| body(round, writer, under_way)))
                    .collect();
                match get(&store, "bucket", &object).await {
                    Ok(found) => {
                        let Some(which) = allowed.iter().position(|body| *body == found) else {
                            panic!("round {round}: {object} holds something else");
                        };
                        if which + 1 == allowed.len() && under_way % KEYS == slot {
                            last.insert((writer, slot), (round, under_way));
                        }
                        // The object and its change are one.
                        let etag = store.object(&name("bucket"), &key(&object), None).unwrap().etag;
                        let change = puts.iter().rev().find(|c| c.key.as_ref().unwrap().as_str() == object);
                        assert_eq!(change.unwrap().etag.as_ref(), Some(&etag), "round {round}: {object}");
                    }
                    Err(Error::NoSuchObject(_)) => {
                        assert!(!last.contains_key(&(writer, slot)), "round {round}: {object} is lost");
                    }
                    Err(error) => panic!("round {round}: {object}: {error}"),
                }
            }
        }
        if round % 3 == 0 {
            store.close().await.unwrap();
        }
    }
    assert!(acknowledged > u64::from(ROUNDS) * 40);
}
