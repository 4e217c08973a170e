//! Words with a fixed choice, and what they mean to the daemon.

use clap::ValueEnum;
use heph_api::types::{Attention, StateFilter, TaskState};

/// How much attention, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Colour {
    Red,
    Orange,
    White,
    Blue,
}

impl From<Colour> for Attention {
    fn from(colour: Colour) -> Self {
        match colour {
            Colour::Red => Self::Red,
            Colour::Orange => Self::Orange,
            Colour::White => Self::White,
            Colour::Blue => Self::Blue,
        }
    }
}

/// Which states a list shows, as it is typed.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum ListedState {
    #[default]
    Outstanding,
    Done,
    Dropped,
    All,
}

impl From<ListedState> for StateFilter {
    fn from(state: ListedState) -> Self {
        match state {
            ListedState::Outstanding => Self::Outstanding,
            ListedState::Done => Self::Done,
            ListedState::Dropped => Self::Dropped,
            ListedState::All => Self::All,
        }
    }
}

/// Which state a task is given, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum GivenState {
    Outstanding,
    Done,
    Dropped,
}

impl From<GivenState> for TaskState {
    fn from(state: GivenState) -> Self {
        match state {
            GivenState::Outstanding => Self::Outstanding,
            GivenState::Done => Self::Done,
            GivenState::Dropped => Self::Dropped,
        }
    }
}
