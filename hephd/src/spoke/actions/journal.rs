//! Journals: one text per day, made when it is first written, the same node on every device.

use heph_api::types::{AppendJournal, BodyRead, SaveJournal, ShowJournal};
use heph_store::draft::Draft;
use heph_store::read::View;

use super::text::{self, Owner, Wrote};
use super::value::day;
use crate::spoke::refusal::Refusal;

/// Reads a day.
pub fn show(view: &View<'_>, request: ShowJournal) -> Result<BodyRead, Refusal> {
    text::read(view, &Owner::Day(day("date", &request.date)?))
}

/// Appends a paragraph to a day.
pub fn append(draft: &mut Draft<'_>, request: &AppendJournal) -> Result<Wrote, Refusal> {
    Owner::Day(day("date", &request.date)?).append(draft, &request.text)
}

/// Writes the whole text of a day.
pub fn save(draft: &mut Draft<'_>, request: &SaveJournal) -> Result<Wrote, Refusal> {
    Owner::Day(day("date", &request.date)?).save(draft, &request.body, Some(&request.version))
}
