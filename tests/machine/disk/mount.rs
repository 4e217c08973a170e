//! File systems of a test's own, which are unmounted whatever happens: ext4 on a loop device, which can lose power, and
//! tmpfs. Their images lie in memory, so that the machine's own disk has no part in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use heph_tests::wait::until;

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: from here on the file system neither takes nor writes
/// anything, the journal included. Perl, which is part of every Debian, makes the call.
const LOSE_POWER: &str = r#"open(my $at, "<", $ARGV[0]) or die "open: $!";
my $how = pack("L", 2);
ioctl($at, 0x8004587d, $how) or die "ioctl: $!";"#;

/// Something that is mounted, until it is dropped.
#[derive(Debug)]
pub struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts a tmpfs with these options, such as `size=4m`.
    pub fn tmpfs(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "heph-test"]).arg(at));
        Self { at: at.to_owned() }
    }

    fn image(image: &Path, at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(at));
        Self { at: at.to_owned() }
    }

    /// Mounts it with other options, such as `ro` or `size=64m`, while it is in use.
    pub fn remount(&self, options: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.at));
    }

    /// Where it is.
    pub fn at(&self) -> &Path {
        &self.at
    }

    fn into_place(mut self) -> PathBuf {
        std::mem::take(&mut self.at)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.at.as_os_str().is_empty() {
            return; // Somebody else sees to it.
        }
        // What still uses it keeps it until its own end.
        drop(Command::new("umount").arg("--lazy").arg(&self.at).stderr(Stdio::null()).status());
    }
}

/// An ext4 file system on a loop device.
#[derive(Debug)]
pub struct Ext4 {
    image: PathBuf,
    at: PathBuf,
    mount: Option<Mount>,
}

impl Ext4 {
    /// Makes one of this size in the file `image`, and mounts it.
    pub fn make(image: &Path, at: &Path, mib: u64) -> Self {
        Self::make_with(image, at, mib, &[])
    }

    /// The same, with these options for mkfs.
    pub fn make_with(image: &Path, at: &Path, mib: u64, options: &[&str]) -> Self {
        File::create(image).unwrap().set_len(mib << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).args(options).arg(image));
        Self { image: image.to_owned(), at: at.to_owned(), mount: Some(Mount::image(image, at)) }
    }

    /// Has the loop device write block by block. Of a larger request it may write only the first part, when its own
    /// storage runs out, and call that a success; of a block there are no parts.
    pub fn write_block_by_block(&self) {
        let source = Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(&self.at).output().unwrap().stdout;
        let source = String::from_utf8(source).unwrap();
        let device = source.trim().trim_start_matches("/dev/");
        fs::write(format!("/sys/block/{device}/queue/max_sectors_kb"), "4").unwrap();
    }

    /// What is mounted.
    pub fn mount(&self) -> &Mount {
        self.mount.as_ref().expect("it is mounted")
    }

    /// Cuts the power: what was not synced is lost, and nothing that is written from here on is kept.
    pub fn lose_power(&self) {
        self.switch().lose_power();
    }

    /// What cuts the power from elsewhere.
    pub fn switch(&self) -> Switch {
        Switch(self.at.clone())
    }

    /// Takes it off and mounts it again, as a machine that starts does. Nothing may use it.
    pub fn start_again(&mut self) {
        // What is unmounted here is not to be unmounted once more, when something else is mounted there.
        let at = self.mount.take().map(Mount::into_place).expect("it is mounted");
        let unmount = || Command::new("umount").arg(&at).stderr(Stdio::null()).status().unwrap();
        until("an unmounted disk", || unmount().success().then_some(()));
        self.mount = Some(Mount::image(&self.image, &at));
    }
}

/// Cuts the power of a disk.
#[derive(Debug)]
pub struct Switch(PathBuf);

impl Switch {
    /// As [`Ext4::lose_power`].
    pub fn lose_power(&self) {
        run(Command::new("perl").args(["-e", LOSE_POWER]).arg(&self.0));
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
