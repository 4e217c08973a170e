//! What happened once and a person should hear of: kept in the replica for a week, so that a status asked for later,
//! or after a restart, still says it.

use super::cycle::{Cycle, Failure, Seen, fact};
use super::hub_client;
use heph_store::Filter;
use heph_store::error::Result;
use heph_store::field::ORIGIN_PREFIX;
use heph_store::id::{HubId, Origin};
use heph_store::read::{Node, View};
use heph_store::replica::Group;
use serde::{Deserialize, Serialize};

const FACT: &str = "notices";
/// How long a notice is told, in milliseconds.
const TOLD_MS: u64 = 7 * 24 * 3_600_000;
/// The most that are kept.
const KEPT_MAX: usize = 20;
/// How many devices are known by name.
const DEVICES_MAX: usize = 10_000;
/// A merge that hid at least so many nodes, and a fifth of all, is worth a word.
const HID_MANY: u64 = 20;

/// Something that is told for a week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    at_ms: u64,
    words: String,
    /// What is said instead until this device is in step with the hub that it knows now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_in_step: Option<String>,
}

/// A hub that is about to be pinned.
pub struct Hub {
    /// Which.
    pub id: HubId,
    /// Where.
    pub url: String,
}

/// What there is to say of it.
#[derive(Debug, Clone, Copy)]
pub enum News {
    /// This device joins it, by itself or because a person said so: how many ops both hold.
    Joined {
        /// It.
        there: u64,
        /// This device.
        here: u64,
    },
    /// It stands in the place of another one.
    Replaced {
        /// Which it was.
        was: HubId,
        /// Whether the new one is empty; else it holds ops that are here too.
        was_empty: bool,
    },
}

/// Returns the notices that are not too old, oldest first.
///
/// # Errors
/// If the database fails.
pub fn read(view: &View<'_>, now_ms: u64) -> Result<Vec<String>> {
    // Whoever pins a hub forgets when it was last in step with the one before.
    let in_step = view.fact(fact::LAST_SYNC_MS)?.is_some();
    let young = stored(view.fact(FACT)?.as_deref()).into_iter().filter(|notice| is_young(notice, now_ms));
    let told = |Notice { at_ms, words, until_in_step }| {
        let words = until_in_step.filter(|_| !in_step).unwrap_or(words);
        format!("{}: {words}", super::status::instant(at_ms))
    };
    Ok(young.map(told).collect())
}

/// Returns what is to be kept once `hub` is pinned: what there is, and the news.
///
/// # Errors
/// If the database fails.
pub fn with_news(view: &View<'_>, now_ms: u64, hub: &Hub, news: News) -> Result<Vec<Notice>> {
    let mut notices = stored(view.fact(FACT)?.as_deref());
    let (words, until_in_step) = match news {
        News::Joined { there, here } if there == 0 || here == 0 || is_bare(view)? => return Ok(notices),
        News::Joined { there, here } => (joined(hub, there, here), None),
        News::Replaced { was, was_empty: true } => {
            let by = format!("the hub was replaced (it was {was}) by an empty one, which");
            (format!("{by} was filled again from here"), Some(format!("{by} is being filled from here")))
        }
        News::Replaced { was, was_empty: false } => {
            let by = "one that another device here has filled already";
            (format!("the hub was replaced (it was {was}) by {by}"), None)
        }
    };
    notices.push(Notice { at_ms: now_ms, words, until_in_step });
    Ok(young(notices, now_ms))
}

/// A device that has nothing but its own node has nothing that could be merged.
fn is_bare(view: &View<'_>) -> Result<bool> {
    Ok(view.kinds()?.iter().all(|(kind, _)| kind == "device"))
}

fn joined(hub: &Hub, there: u64, here: u64) -> String {
    let Hub { id, url } = hub;
    let ops = |count| format!("{count} {}", if count == 1 { "op" } else { "ops" });
    format!(
        "joined the hub {id} at {url}: it held {}, this device {here}; what both hold is merged, `heph devices` shows \
         who writes here",
        ops(there)
    )
}

/// Keeps what of a cycle a person should hear of later.
///
/// # Errors
/// If the database fails, or the daemon is stopping.
pub async fn note<H: hub_client::Hub>(cycle: &Cycle<H>, seen: &Seen) -> std::result::Result<(), Failure> {
    if seen.new_origin.is_none() && seen.hidden < HID_MANY {
        return Ok(());
    }
    let (seen, now_ms) = (seen.clone(), cycle.env.now().get());
    let (before, words) = cycle.read(move |view| Ok((view.fact(FACT)?, worth_saying(view, &seen)?))).await?;
    if words.is_empty() {
        return Ok(());
    }
    let mut notices = stored(before.as_deref());
    notices.extend(words.into_iter().map(|words| Notice { at_ms: now_ms, words, until_in_step: None }));
    let notices = young(notices, now_ms);
    cycle.write(move |group| keep(group, &notices)).await
}

fn worth_saying(view: &View<'_>, seen: &Seen) -> Result<Vec<String>> {
    let mut words = Vec::new();
    if let Some(origin) = seen.new_origin {
        words.push(format!("this database was copied or restored; it now writes under a new origin, {origin}"));
    }
    if seen.hidden >= HID_MANY {
        let visible: u64 = view.kinds()?.iter().map(|(_, count)| count).sum();
        let all = visible + seen.hidden;
        if seen.hidden * 5 >= all {
            let who = names(view, seen)?;
            words.push(format!("a merge deleted {} of {all} nodes; what came was written by {who}", seen.hidden));
        }
    }
    Ok(words)
}

/// Who wrote what came: device names where they are known, else origins.
fn names(view: &View<'_>, seen: &Seen) -> Result<String> {
    let devices = view.list(&Filter { kind: "device".to_owned(), limit: DEVICES_MAX, ..Filter::default() })?;
    let mut names: Vec<String> = seen.pulled.keys().map(|origin| name(&devices, *origin)).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names.join(", "))
}

fn name(devices: &[Node], origin: Origin) -> String {
    let field = format!("{ORIGIN_PREFIX}{origin}");
    let device = devices.iter().find(|device| device.state.value(&field).is_some());
    device.map_or_else(|| origin.to_string(), |device| device.title().to_owned())
}

/// Keeps these and no others.
///
/// # Errors
/// If the database fails.
pub fn keep(group: &mut Group<'_>, notices: &[Notice]) -> Result<()> {
    let json = serde_json::to_string(notices).expect("numbers and text can be written as JSON");
    group.set_fact(FACT, Some(&json))
}

/// Those that are still told, and not too many.
fn young(mut notices: Vec<Notice>, now_ms: u64) -> Vec<Notice> {
    notices.retain(|notice| is_young(notice, now_ms));
    notices.split_off(notices.len().saturating_sub(KEPT_MAX))
}

/// A note that cannot be read was written by another version, and is none of our words.
fn stored(json: Option<&str>) -> Vec<Notice> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

fn is_young(notice: &Notice, now_ms: u64) -> bool {
    now_ms.abs_diff(notice.at_ms) <= TOLD_MS
}
