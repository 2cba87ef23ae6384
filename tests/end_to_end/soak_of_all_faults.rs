//! The long soak: all faults in one run. The collector fails in every way that is known of, and meanwhile the set is stopped,
//! killed, put on a full disk and on a clock that is set. Whoever sends does as Segment does: what is not answered with 200 is
//! sent again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use time::format_description::well_known::Rfc3339;

use crate::collector::{Collector, Received, Reply};
use crate::koala::{Home, Koala};
use crate::segment::{LONGEST_WAVE, Segment};
use crate::soak::{
    BURST, HOSTILE, INVALID, LANES_AT_ONCE, SUSPENDED, TAKEN, all, assert_in_order, doubled, faketime, id, ids,
    visitors,
};

/// What happens to the set in the middle of a wave of events.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Blow {
    /// SIGTERM, and a start.
    Stop,
    /// `kill -9`, and a start.
    Kill,
    /// No file may grow for a while.
    FullDisk,
    /// The clock is set while the set runs, so many hours from the right time.
    Clock(i64),
}

const BLOWS: [Blow; 10] = [
    Blow::Clock(1),
    Blow::Stop,
    Blow::FullDisk,
    Blow::Kill,
    Blow::Clock(-1),
    // More than the half day for which a message is tried.
    Blow::Clock(13),
    Blow::FullDisk,
    Blow::Stop,
    Blow::Clock(-9600),
    Blow::Kill,
];

/// So long after a request came, what came of it is recorded.
const RECORDED_WITHIN: Duration = Duration::from_secs(2);

/// The answers of a collector that fails in every way, one fault after the other, and five in a hundred times anyhow.
fn faults(all_visitors: usize, poison: HashSet<String>, is_hostile: Arc<AtomicBool>) -> impl Fn(&Received) -> Reply {
    let asked = AtomicUsize::new(0);
    let eighth = all_visitors / 8;
    assert!(eighth >= 60, "too few visitors for all faults");
    move |request| {
        let n = asked.fetch_add(1, Ordering::SeqCst);
        match (n / eighth, n % eighth) {
            (1, 0..30) => SUSPENDED,
            (2, 0..40) => Reply::TooMany("1"),
            (3, 0..12) => Reply::Hang,
            (1.., 45..50) if is_hostile.load(Ordering::SeqCst) => Reply::TooMany(HOSTILE[n % HOSTILE.len()]),
            _ if n % 20 == 7 => Reply::Answer(500, ""),
            _ if ids(request).iter().any(|id| poison.contains(id)) => INVALID,
            _ if n % 5 == 2 => Reply::Slow(Duration::from_millis(50)),
            _ => TAKEN,
        }
    }
}

/// What a run needs: the set's home, its clock, its collector, and who sends.
struct Run {
    home: Home,
    clock: PathBuf,
    collector: Collector,
    segment: Segment,
    /// When the set was killed, and until when what it had sent may have been read: then the next one started.
    kills: Mutex<Vec<(Instant, Instant)>>,
}

impl Run {
    fn start(&self) -> Koala {
        let (url, clock) = (self.collector.url(), self.clock.to_string_lossy());
        let koala = self.home.up(&[
            ("KOALA_URL", &url),
            ("RETRY_FIRST_DELAY_SECONDS", "1"),
            ("LD_PRELOAD", &faketime()),
            ("FAKETIME_TIMESTAMP_FILE", &clock),
            ("FAKETIME_CACHE_DURATION", "1"),
            // Time that passes goes on as it does: it is the clock on the wall that is set.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ]);
        self.segment.url.write().unwrap().clone_from(&koala.url);
        koala
    }

    /// Deals a blow; gives back the set that runs after it.
    async fn deal(&self, blow: Blow, koala: Koala) -> Koala {
        match blow {
            Blow::Stop => {
                assert_eq!(koala.end_by("TERM"), 0);
                self.start()
            }
            Blow::Kill => {
                self.segment.is_killed.store(true, Ordering::SeqCst);
                let killed = Instant::now();
                koala.kill();
                // Who sends has seen it by then.
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.segment.is_killed.store(false, Ordering::SeqCst);
                self.kills.lock().unwrap().push((killed, Instant::now()));
                self.start()
            }
            Blow::FullDisk => {
                let refused = self.segment.refused.load(Ordering::SeqCst);
                limit_files(&koala, "65536:unlimited");
                tokio::time::sleep(Duration::from_secs(3)).await;
                limit_files(&koala, "unlimited:unlimited");
                assert!(self.segment.refused.load(Ordering::SeqCst) > refused, "the disk was not full");
                koala
            }
            Blow::Clock(hours) => {
                set_clock(&self.clock, hours);
                let begun = Instant::now();
                loop {
                    // A request that is refused leaves a line in the log.
                    assert_eq!(koala.post_with("{}", &[]).await.0, 401);
                    if hours_ahead(&self.home.logged()) == Some(hours) {
                        break;
                    }
                    assert!(begun.elapsed() < Duration::from_secs(20), "the clock is not set by {hours} h");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                koala
            }
        }
    }

    async fn until_asked(&self, count: usize) {
        let begun = Instant::now();
        while self.collector.count() < count {
            assert!(begun.elapsed() < LONGEST_WAVE, "{} of {count} requests came", self.collector.count());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Lets the files of a running process grow to so many bytes: soft limit, hard limit.
fn limit_files(koala: &Koala, limit: &str) {
    let pid = koala.id().to_string();
    let set = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}")]).status().unwrap();
    assert!(set.success());
}

/// By how many hours the clock that a set goes by is before ours, by the last line of its log. (The `Date` of an answer is no
/// measure: hyper keeps it for as long as the clock was set back.)
fn hours_ahead(log: &str) -> Option<i64> {
    let time_of = |line: &str| time::OffsetDateTime::parse(line.split(' ').next()?, &Rfc3339).ok();
    let at = log.lines().rev().find_map(time_of)?;
    Some((at - time::OffsetDateTime::now_utc() + Duration::from_mins(1)).whole_minutes().div_euclid(60))
}

/// Sets the clock of whoever looks at this file: written beside it first, so that nobody reads half of it.
fn set_clock(file: &Path, hours: i64) {
    let written = file.with_extension("new");
    std::fs::write(&written, format!("{hours:+}h\n")).unwrap();
    std::fs::rename(written, file).unwrap();
}

/// Waits until nothing is left to deliver; gives back how many dead letters there are.
async fn all_delivered(koala: &Koala, all_visitors: usize) -> u64 {
    let longest = Duration::from_mins(2) + Duration::from_millis(40) * u32::try_from(all_visitors).unwrap();
    let begun = Instant::now();
    loop {
        let counts = koala.queues().await;
        if counts["waiting"] == 0 && counts["in_flight"] == 0 {
            return counts["dead"].as_u64().unwrap();
        }
        assert!(begun.elapsed() < longest, "{counts} are left");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_in_one_run_loses_nothing_keeps_the_order_and_doubles_only_what_a_kill_met_in_flight() {
    let all_visitors = visitors(800);
    let is_poison = |visitor: usize, place: usize| visitor % 200 == 77 && place == 4;
    let poison: HashSet<String> =
        (0..all_visitors).filter(|visitor| is_poison(*visitor, 4)).map(|v| id(v, 4)).collect();
    let (poisoned, is_hostile) = (poison.len(), Arc::new(AtomicBool::new(true)));
    let collector = Collector::start();
    collector.answer(faults(all_visitors, poison, Arc::clone(&is_hostile)));
    let home = Home::new();
    let clock = home.parameters().with_file_name("clock");
    set_clock(&clock, 0);
    let run = Run { home, clock, collector, segment: Segment::new(), kills: Mutex::default() };
    let (begun, mut koala) = (Instant::now(), run.start());
    for (wave, blow) in BLOWS.into_iter().enumerate() {
        let (from, to) = (all_visitors * wave / BLOWS.len(), all_visitors * (wave + 1) / BLOWS.len());
        let (half, asked) = (usize::midpoint(from, to), run.collector.count());
        run.segment.post(from..half).await;
        run.until_asked(asked + (to - from) / 4).await;
        ((), koala) = tokio::join!(run.segment.post(half..to), run.deal(blow, koala));
        println!("{:.2?}: {blow:?}, {} requests", begun.elapsed(), run.collector.count());
    }
    // Whom the collector told to wait for ages waits for a quarter of an hour, or for the next start.
    is_hostile.store(false, Ordering::SeqCst);
    koala = run.deal(Blow::Stop, koala).await;
    let dead = all_delivered(&koala, all_visitors).await;

    let Run { collector, segment, kills, .. } = run;
    let (events, requests) = (all_visitors * BURST, collector.requests());
    let kills = kills.into_inner().unwrap();
    let unsure = segment.unsure.into_inner().unwrap();
    let doubled = doubled(&collector);
    println!(
        "{events} events in {:.0?}: {} requests, {:.3} an event; {} doubled after {} kills; {} posts of unknown outcome sent \
         again; {} answers of 503; {dead} dead letters of {poisoned} poison entries",
        begun.elapsed(),
        requests.len(),
        f64::from(u32::try_from(requests.len()).unwrap()) / f64::from(u32::try_from(events).unwrap()),
        doubled.len(),
        kills.len(),
        unsure.len(),
        segment.refused.into_inner(),
    );
    let taken: HashSet<String> = collector.taken().into_keys().collect();
    assert_eq!(taken, all(all_visitors, is_poison), "lost, or taken though it is rejected");
    assert!((poisoned..=poisoned + unsure.len()).contains(&usize::try_from(dead).unwrap()), "{dead} dead letters");
    assert_in_order(&collector);
    assert!(requests.len() * 5 <= events, "{} requests are more than 0.2 an event", requests.len());
    assert!(requests.len() > all_visitors / 2, "not all faults of the collector were met");
    // The answer was under way or not yet recorded, or the request was read when its sender was gone.
    let in_flight = |request: &&Received| {
        kills.iter().any(|(killed, next)| request.at + RECORDED_WITHIN > *killed && request.at <= *next)
    };
    let mut explained: HashSet<String> = requests.iter().filter(in_flight).flat_map(ids).collect();
    let sent_again = |visitor: &usize| (0..BURST).map(|place| id(*visitor, place)).collect::<Vec<_>>();
    explained.extend(unsure.iter().flat_map(sent_again));
    // When each of the others was asked for, to see which blow it was.
    let asked = |id: &str| {
        let all = requests.iter().filter(|request| ids(request).iter().any(|one| one == id));
        all.map(|request| (request.at.duration_since(begun), request.taken)).collect::<Vec<_>>()
    };
    let others: Vec<_> = doubled.difference(&explained).map(|id| (id, asked(id))).collect();
    assert!(
        others.is_empty(),
        "{others:#?}; kills: {:?}",
        kills.iter().map(|(at, _)| at.duration_since(begun)).collect::<Vec<_>>()
    );
    let most = kills.len() * LANES_AT_ONCE * BURST + unsure.len() * BURST;
    assert!(doubled.len() <= most, "{}", doubled.len());
}
