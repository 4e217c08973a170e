//! `heph demo`: a hub and two devices at work, on throw-away data, with the real programs.
//!
//! Whatever is printed behind a `$` was run as it stands there. However it ends, by itself, by a failure or by
//! Ctrl-C, no process and no file is left; with `--dir` the files stay.

mod device;
mod interrupt;
mod place;
mod process;
mod story;

use serde::Serialize;

use crate::{
    args::Demo,
    failure::Failure,
    surface::{Surface, write_out},
};

/// The small vault that comes with heph: path and bytes of every file.
const VAULT: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/demo_vault.rs"));

/// What the demonstration came to, for `--json`.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The state's digest on the laptop.
    pub laptop_digest: String,
    /// The state's digest on the phone.
    pub phone_digest: String,
    /// Whether they are the same.
    pub equal: bool,
    /// How many notes the laptop has imported.
    pub notes: u64,
    /// How many conflicts the edits made apart have led to.
    pub conflicts: usize,
}

/// Where the story is told: standard output, or nowhere where only the outcome is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Narrator {
    silent: bool,
}

impl Narrator {
    /// Prints a text and a line end.
    pub fn say(self, text: &str) -> Result<(), Failure> {
        if self.silent { Ok(()) } else { write_out(&format!("{text}\n")) }
    }
}

pub fn run(surface: &Surface, args: Demo) -> Result<(), Failure> {
    let interrupt = interrupt::Interrupt::watch()?;
    let place = place::Place::make(args.dir)?;
    place.write_vault(VAULT)?;
    let narrator = Narrator { silent: surface.json() };
    // Ctrl-C reaches the daemons too: what then fails here is not what is to be told.
    let told = story::tell(narrator, &place, &interrupt);
    let outcome = told.map_err(|failure| interrupt.check().err().unwrap_or(failure))?;
    match surface.json() {
        true => surface.print(&outcome, |_| ()),
        false => story::for_real(narrator, &place),
    }
}
