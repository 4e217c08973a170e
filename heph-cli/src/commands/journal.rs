//! Journals: the text of a day.

use super::text::{self, Action, Owner};
use crate::{args::Journal, dates, failure::Failure, surface::Surface};

pub fn run(surface: &Surface, args: Journal) -> Result<(), Failure> {
    let day = args.date.unwrap_or_else(dates::today_text);
    text::run(surface, &Owner::Day(day), Action::of(args.append, args.edit, args.text))
}
