//! What goes wrong between devices and the hub of a world without sockets.

/// What the network does wrong.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    /// Nobody answers.
    pub away: bool,
    /// So many answers to push are lost, after the hub has committed.
    pub lose_push_answers: usize,
    /// A pull breaks off after so many pages.
    pub cut_pull_after: Option<usize>,
    /// Pages of more bytes are too large.
    pub too_large_over: Option<usize>,
    /// It signs with a key that is not its own.
    pub lies: bool,
    /// Ops that are pulled come without their values.
    pub withhold_values: bool,
    /// The hub has lost the values of the ops up to this position.
    pub lost_values_to: u64,
    /// So many pages at the front of a pull are left out: the positions say more than was sent.
    pub skip_pages: usize,
    /// When this is called, another hub answers from then on.
    pub replaced_at: Option<&'static str>,
    /// This is refused with this code of 409.
    pub refuse: Option<(&'static str, &'static str)>,
}
