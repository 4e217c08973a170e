//! The programs under test: `hephd` and `heph`, as cargo builds them beside the running test.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    /// The daemon.
    pub hephd: PathBuf,
    /// The command line.
    pub heph: PathBuf,
}

/// Returns the programs, built before the first use in this process: of the same profile as the test, or those in the
/// directory that `HEPH_TEST_PROGRAMS` names, as they are.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let dir = match std::env::var_os("HEPH_TEST_PROGRAMS") {
            Some(dir) => dir.into(),
            None => build(),
        };
        Programs { hephd: dir.join("hephd"), heph: dir.join("heph") }
    })
}

fn build() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile_dir = test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps");
    let target_dir = profile_dir.parent().expect("the profile's directory lies in the target directory");
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "-p", "hephd", "-p", "heph-cli", "--profile", profile, "--target-dir"])
        .arg(target_dir)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace"))
        .status();
    assert!(built.unwrap().success(), "hephd and heph do not build");
    profile_dir.to_owned()
}
