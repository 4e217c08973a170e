//! The end of a run: nothing fails any more, and all have to come into step by themselves and hold the same.

use super::{HUB, Run, name};
use crate::machine::Spoke;
use crate::network::{Link, SpokeWire, Weather};
use crate::oracle::{Code, Violation};
use crate::plan::Who;
use heph_api::types::{ReadSyncStatus, SwitchHub, SyncState};
use std::time::Duration;

/// How long all may take to come into step once nothing fails any more, simulated: a few of the longest pauses.
const CALM: Duration = Duration::from_secs(1_500);

impl Run {
    /// Nothing fails any more. All come into step by themselves, and then hold and show the same.
    pub(super) async fn calm_down(&mut self) -> Result<(), Violation> {
        self.tally.step(|| "calm".to_owned());
        self.network.set_weather(Weather::default());
        self.network.forgive();
        self.spokes.iter().filter_map(Spoke::wire).for_each(SpokeWire::stop_never);
        self.end_stopped();
        self.look_around().await?;
        for who in self.everybody() {
            let disk = self.disk_of(who);
            disk.forgive();
            disk.capacity(None);
        }
        self.look_around().await?;
        for who in self.everybody() {
            self.env_of(who).jump(0);
            if let Who::Spoke(number) = who {
                self.network.set_link(number, Link::Up);
                if !self.spokes[number].has_hub {
                    self.spokes[number].stop().await;
                    self.spokes[number].has_hub = true;
                }
            }
            self.start(who).await?;
        }
        self.pass(CALM).await?;
        for spoke in 0..self.spokes.len() {
            self.answer_what_is_asked(spoke).await;
        }
        self.pass(CALM).await?;
        self.in_step().await?;
        let everybody = self.everybody();
        let mut reads = Vec::new();
        for who in &everybody {
            reads.push((name(*who), self.reads(*who)?));
        }
        for ((replica, reads), who) in reads.iter().zip(&everybody) {
            // From the first op on, whatever was checked of it before.
            self.oracle.begin(replica);
            self.oracle.check_all(replica, reads)?;
            self.oracle.check_file(replica, &self.storage(*who).db(), self.env_of(*who))?;
        }
        let named: Vec<_> = reads.iter().map(|(replica, reads)| (replica.as_str(), &**reads)).collect();
        self.oracle.converged(&named)?;
        if !self.lossy {
            let names: Vec<_> = named.iter().map(|(name, _)| *name).collect();
            self.oracle.nothing_is_gone(&names)?;
        }
        let (ops, _) = reads[0].1.read(|view| view.end()).map_err(|error| Violation::unreadable(HUB, "it", &error))?;
        self.tally.count(|counts| counts.ops += ops);
        self.tally.step(|| format!("{ops} ops"));
        for number in 0..self.spokes.len() {
            self.spokes[number].stop().await;
        }
        Ok(())
    }

    /// The one thing that a person is asked: whether another hub, which holds other data, is the right one.
    async fn answer_what_is_asked(&mut self, spoke: usize) {
        let Some(desk) = self.desk(spoke) else { return };
        let Ok(status) = desk.call(&ReadSyncStatus {}).await else { return };
        if status.state == SyncState::OtherHub
            && let Ok(preview) = desk.call(&SwitchHub { confirm: None }).await
        {
            self.tally.fault("a person was asked", "another hub");
            drop(desk.call(&SwitchHub { confirm: Some(preview.hub_id) }).await);
        }
    }

    async fn in_step(&mut self) -> Result<(), Violation> {
        for spoke in 0..self.spokes.len() {
            let Some(desk) = self.desk(spoke) else { continue };
            let status = desk.call(&ReadSyncStatus {}).await;
            let status = status.unwrap_or_else(|error| panic!("no status: {error:?}"));
            if !status.state.is_in_step() {
                let sentence = format!("after {} s of calm: {}", 2 * CALM.as_secs(), status.words);
                return Err(Violation::new(Code::NotInStep, &name(Who::Spoke(spoke)), sentence));
            }
        }
        Ok(())
    }
}
