//! What happens in the demonstration, in order: together, apart, together again.

use std::time::{Duration, Instant};

use heph_api::types::{ConflictRow, DocRow, ImportReport, SyncStatus, TaskRow};

use super::{
    Narrator, Outcome,
    device::{Device, prompt},
    interrupt::Interrupt,
    place::Place,
    process::Daemon,
};
use crate::failure::Failure;

const EQUAL_WITHIN: Duration = Duration::from_secs(60);

/// Runs the whole of it.
pub fn tell(narrator: Narrator, place: &Place, interrupt: &Interrupt) -> Result<Outcome, Failure> {
    narrator.say(&format!(
        "A hub and two devices, three processes on this machine, on throw-away data in\n{}\n",
        place.root().display()
    ))?;
    let (hub, url) = start_hub("127.0.0.1:0", narrator, place, interrupt)?;
    let laptop = Device::start("laptop", &url, narrator, place, interrupt)?;
    let phone = Device::start("phone", &url, narrator, place, interrupt)?;

    let (task, notes) = together(narrator, &laptop, &phone)?;
    let note = first_note(&laptop)?;
    hub.stop();
    apart(narrator, &laptop, &phone, &task, note.as_ref())?;
    let address = url.strip_prefix("http://").unwrap_or(&url);
    let (hub, _) = start_hub(address, narrator, place, interrupt)?;
    let conflicts = together_again(narrator, &laptop, &phone, &task, note.as_ref())?;
    let outcome = prove(narrator, &laptop, &phone, notes, conflicts)?;
    hub.stop();
    Ok(outcome)
}

fn start_hub(
    address: &str,
    narrator: Narrator,
    place: &Place,
    interrupt: &Interrupt,
) -> Result<(Daemon, String), Failure> {
    let args = ["--mode", "server", "--open", "--http-addr", address, "--db", "hub/heph.db"];
    narrator.say(&format!("{}hephd {}", prompt("hub"), args.join(" ")))?;
    let (hub, url) = Daemon::start(place, "hub", &args, "heph hub listening on", interrupt)?;
    narrator.say(&format!("         heph hub listening on {url}"))?;
    Ok((hub, url))
}

fn together(narrator: Narrator, laptop: &Device, phone: &Device) -> Result<(TaskRow, u64), Failure> {
    narrator.say("\nNotes and tasks on the laptop appear on the phone.\n")?;
    laptop.types(&["import", "obsidian", "vault"])?;
    laptop.types(&["task", "Water the plants", "--do", "today", "--every", "weekly", "--tag", "home"])?;
    laptop.types(&["task", "Book the train", "--do", "tomorrow", "--attention", "red", "--project", "Holiday"])?;
    laptop.types(&["sync", "--wait"])?;
    phone.types(&["sync", "--wait"])?;
    phone.types(&["list"])?;
    let imported: ImportReport = laptop.answer(&["import", "obsidian", "vault"])?;
    laptop.types(&["task", "Buy milk", "--late", "tomorrow"])?;
    equal(laptop, phone)?;
    Ok((task_named(laptop, "Buy milk")?, imported.notes))
}

fn first_note(laptop: &Device) -> Result<Option<DocRow>, Failure> {
    let docs: Vec<DocRow> = laptop.answer(&["doc", "list", "--limit", "1"])?;
    Ok(docs.into_iter().next())
}

fn apart(
    narrator: Narrator,
    laptop: &Device,
    phone: &Device,
    task: &TaskRow,
    note: Option<&DocRow>,
) -> Result<(), Failure> {
    narrator.say("\nNow the hub is gone. Both devices go on, and both change the same title")?;
    narrator.say("and the same note.\n")?;
    laptop.types(&["edit", &task.short_id, "--title", "Buy oat milk"])?;
    phone.types(&["edit", &task.short_id, "--title", "Buy milk and bread"])?;
    if let Some(note) = note {
        laptop.types(&["doc", "append", &note.node.short_id, "Written on the laptop, without a hub."])?;
        phone.types(&["doc", "append", &note.node.short_id, "Written on the phone, without a hub."])?;
    }
    phone.types(&["done", &task_named(phone, "Water the plants")?.short_id])?;
    phone.types_in_vain(&["sync", "--wait"])
}

fn task_named(device: &Device, title: &str) -> Result<TaskRow, Failure> {
    let tasks: Vec<TaskRow> = device.answer(&["list"])?;
    let found = tasks.into_iter().find(|task| task.title == title);
    found.ok_or_else(|| Failure::here("demo", format!("the task \"{title}\" is not there")))
}

fn together_again(
    narrator: Narrator,
    laptop: &Device,
    phone: &Device,
    task: &TaskRow,
    note: Option<&DocRow>,
) -> Result<usize, Failure> {
    narrator.say("\nThe hub is back, and so is everything: both paragraphs are in the note, and of the")?;
    narrator.say("two titles the newer one is shown and the other one kept.\n")?;
    laptop.types(&["sync", "--wait"])?;
    phone.types(&["sync", "--wait"])?;
    equal(laptop, phone)?;
    if let Some(note) = note {
        laptop.types(&["doc", "show", &note.node.short_id])?;
    }
    laptop.types(&["list"])?;
    laptop.types(&["conflicts"])?;
    let conflicts: Vec<ConflictRow> = laptop.answer(&["conflicts"])?;
    if !conflicts.is_empty() {
        phone.types(&["conflicts", "show", &task.short_id])?;
        narrator.say("\nSettled on one device, it is settled on all.\n")?;
        phone.types(&["conflicts", "take", &task.short_id, "2", "--field", "title"])?;
    }
    Ok(conflicts.len())
}

fn prove(
    narrator: Narrator,
    laptop: &Device,
    phone: &Device,
    notes: u64,
    conflicts: usize,
) -> Result<Outcome, Failure> {
    let (laptop_digest, phone_digest) = equal(laptop, phone)?;
    laptop.types(&["list"])?;
    narrator.say("\nEach device rebuilds its state from its log, and gets the same digest.\n")?;
    laptop.types(&["verify"])?;
    phone.types(&["verify"])?;
    let equal = laptop_digest == phone_digest;
    Ok(Outcome { laptop_digest, phone_digest, equal, notes, conflicts })
}

/// Exchanges until both devices hold the same, and returns their digests.
fn equal(laptop: &Device, phone: &Device) -> Result<(String, String), Failure> {
    let until = Instant::now() + EQUAL_WITHIN;
    loop {
        let [here, there]: [SyncStatus; 2] = [laptop.answer(&["sync", "--wait"])?, phone.answer(&["sync", "--wait"])?];
        let same = here.state_digest == there.state_digest;
        if same && here.state.is_in_step() && there.state.is_in_step() {
            return Ok((here.state_digest, there.state_digest));
        }
        if Instant::now() > until {
            let message = format!("not equal in time: the laptop says {}; the phone says {}", here.words, there.words);
            return Err(Failure::here("demo", message));
        }
    }
}

/// Says what to type to have it for oneself.
pub fn for_real(narrator: Narrator, place: &Place) -> Result<(), Failure> {
    let bin = place.heph().parent().unwrap_or(place.root()).display();
    narrator.say(&format!(
        "\nThe same for real, with the data in your home directory:\n
  export PATH=\"{bin}:$PATH\"
  hephd --mode server --open --http-addr 127.0.0.1:8787 --db ~/heph-hub/heph.db &
  hephd --mode local --hub-url http://127.0.0.1:8787 &
  heph import obsidian ~/my-vault
  heph task \"Try heph\" --do today
  heph sync --status

On another machine, reach the hub through a tunnel (ssh -L 8787:127.0.0.1:8787 THE-HUB) and start
the second line there."
    ))
}
