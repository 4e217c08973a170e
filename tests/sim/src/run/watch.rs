//! Time that passes, and a look at every machine after it: which have ended, and whether what is new holds.

use super::{Run, name};
use crate::machine::End;
use crate::oracle::{Code, Violation};
use crate::plan::Who;
use std::time::Duration;
use tokio::time::sleep;

/// Into how many parts passing time is divided, to look whether a machine ended.
const SLICES: u32 = 12;

impl Run {
    pub(super) async fn pass(&mut self, time: Duration) -> Result<(), Violation> {
        for _ in 0..SLICES {
            let mut rest = Box::pin(sleep(time / SLICES));
            // A machine that its wire ended is off from that moment on.
            loop {
                let stopped = self.spokes.iter().map(|spoke| Box::pin(spoke.stopped.notified()));
                tokio::select! {
                    biased;
                    _ = futures_util::future::select_all(stopped) => {}
                    () = &mut rest => break,
                }
                self.end_stopped();
            }
            self.look_around().await?;
        }
        Ok(())
    }

    /// Machines that stopped on their wire are off.
    pub(super) fn end_stopped(&mut self) {
        for number in 0..self.spokes.len() {
            if self.spokes[number].stopped.take() {
                let end = self.ends.get(&number).copied().unwrap_or(End::Kill);
                // Where on the wire has been counted.
                self.end(Who::Spoke(number), end);
            }
        }
    }

    /// Machines whose disk died are off; what is new anywhere is checked.
    pub(super) async fn look_around(&mut self) -> Result<(), Violation> {
        // Whoever commits or answers in this moment does so now.
        tokio::task::yield_now().await;
        if self.hub.storage.disk().is_dead() {
            self.end_dead(Who::Hub);
        }
        self.end_doubtful();
        for number in 0..self.spokes.len() {
            if self.spokes[number].storage.disk().is_dead() {
                self.end_dead(Who::Spoke(number));
            }
        }
        for who in self.everybody() {
            if self.checks && self.is_running(who) && !self.disk_of(who).is_dead() {
                self.check_new(who)?;
            }
        }
        Ok(())
    }

    /// A daemon ends when a sync failed, since the system then shows what the disk need not have.
    fn end_doubtful(&mut self) {
        for who in self.everybody() {
            let failed = self.disk_of(who).counters().sync_errors;
            if failed > 0 && self.is_running(who) {
                self.end(who, End::Kill);
            }
        }
    }

    /// Checks what is new, if anything was written; of a machine that stopped meanwhile no file can be read.
    fn check_new(&mut self, who: Who) -> Result<(), Violation> {
        let disk = self.disk_of(who);
        let written = (self.storage(who).db(), disk.counters().bytes_written);
        if self.checked.get(&name(who)) == Some(&written) {
            return Ok(());
        }
        self.tally.count(|counts| counts.checks += 1);
        let checked = disk.spared(|| self.reads(who).and_then(|reads| self.oracle.check_new(&name(who), &reads)));
        match checked {
            Ok(_) => drop(self.checked.insert(name(who), written)),
            Err(broken) if broken.code == Code::Unreadable && disk.is_dead() => self.storage(who).look_away(),
            Err(broken) => return Err(broken),
        }
        Ok(())
    }

    /// Checks all that a machine holds that has started; in a long run, what is new of it.
    pub(super) fn check_started(&mut self, who: Who) -> Result<(), Violation> {
        let (replica, disk) = (name(who), self.disk_of(who));
        disk.spared(|| {
            let reads = self.reads(who)?;
            if self.thorough {
                self.oracle.begin(&replica);
                self.tally.count(|counts| counts.checks += 1);
                self.oracle.check_all(&replica, &reads)
            } else {
                self.oracle.resume(&replica, &reads)?;
                self.oracle.check_new(&replica, &reads).map(drop)
            }
        })
    }
}
