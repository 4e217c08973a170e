//! The replica and the daemon as such.

use heph_api::{
    VERSION,
    types::{Backup as BackupCall, DeviceRow, ListDevices, PathText, ReadVersion, Verify, VersionReport},
};
use serde::Serialize;

use crate::{
    args::Backup,
    dates,
    failure::Failure,
    render::{Page, count, one_line},
    surface::{Surface, absolute},
};

pub fn verify(surface: &Surface) -> Result<(), Failure> {
    let report = surface.ask(&Verify {})?;
    surface.print(&report, |page| {
        let counted = format!("{}, {}", count(report.ops, "op"), count(report.nodes, "node"));
        match report.ok {
            true => page.line(format!("sound: {counted}, digest {}", one_line(&report.state_digest))),
            false => page.line(format!("not sound: {counted}")),
        }
        report.problems.iter().for_each(|problem| page.line(format!("  {}", one_line(problem))));
    })?;
    if report.ok { Ok(()) } else { Err(Failure::Said(1)) }
}

pub fn backup(surface: &Surface, args: Backup) -> Result<(), Failure> {
    let report = surface.ask(&BackupCall { file: PathText(absolute(&args.file)?) })?;
    surface.print(&report, |page| {
        let file = one_line(&report.file.to_string());
        page.line(format!("wrote and checked {file}: {}, {}", count(report.ops, "op"), count(report.bytes, "byte")));
    })
}

pub fn devices(surface: &Surface) -> Result<(), Failure> {
    let list = surface.ask(&ListDevices {})?;
    surface.print(&list.devices, |page| {
        let rows: Vec<_> = list.devices.iter().map(|device| device_row(device, page)).collect();
        page.columns(&rows);
    })
}

fn device_row(device: &DeviceRow, page: &Page) -> Vec<String> {
    let style = page.style();
    let newest = device.newest_stamp_ms.map_or_else(|| "-".to_owned(), dates::at);
    let here = if device.here { "  (this device)" } else { "" };
    let branches = if device.branches > 1 { format!("  ({} branches)", device.branches) } else { String::new() };
    let name = one_line(device.name.as_deref().unwrap_or("(no name)"));
    let ops = count(device.ops, "op");
    vec![style.dim(&device.origin), newest, ops, format!("{}{here}{branches}", style.bold(&name))]
}

/// Both versions; the daemon's is `null` where it is not running.
#[derive(Serialize)]
struct Versions {
    version: &'static str,
    daemon: Option<VersionReport>,
}

pub fn version(surface: &Surface) -> Result<(), Failure> {
    let daemon = match surface.client().call(&ReadVersion {}) {
        Ok(daemon) => Some(daemon),
        Err(error) if error.is_not_running() => None,
        Err(error) => return Err(error.into()),
    };
    let versions = Versions { version: VERSION, daemon };
    surface.print(&versions, |page| {
        page.line(format!("heph {VERSION}"));
        match &versions.daemon {
            Some(daemon) => print_daemon(page, daemon),
            None => page.line(format!("hephd is not running (no answer at {})", surface.client().socket().display())),
        }
    })
}

fn print_daemon(page: &mut Page, daemon: &VersionReport) {
    page.line(format!("hephd {} (process {})", one_line(&daemon.version), daemon.pid));
    let hub = daemon.hub_url.clone().unwrap_or_else(|| "none".to_owned());
    let facts = [
        ("device", daemon.device.clone()),
        ("database", daemon.db.to_string()),
        ("socket", daemon.socket.to_string()),
        ("hub", hub),
    ];
    let style = page.style();
    let rows: Vec<_> = facts.into_iter().map(|(name, value)| vec![style.dim(name), one_line(&value)]).collect();
    page.columns(&rows);
}
