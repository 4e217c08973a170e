//! What the README says to type, typed as it stands there.

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use heph_tests::{Ended, Process, World, process, programs::programs};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

/// Where the README's hub listens.
const USUAL_PORT: &str = "8787";

/// Returns the commands below a heading of the README, one text for each block.
fn blocks(heading: &str) -> Vec<String> {
    let readme = include_str!("../../README.md");
    let section =
        readme.split("\n## ").find_map(|section| section.strip_prefix(heading)).expect("the heading is there");
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A shell and all that it started, ended when this is dropped.
struct Shell {
    process: Process,
    group: Pid,
}

impl Shell {
    /// Has a shell read `typed` in the directory `clone`, as a person's does who has only a home.
    fn typing(typed: &str, clone: &Path, home: &Path) -> Self {
        let mut bash = process::command(Path::new("bash"), home);
        bash.arg("-c").arg(format!("exec >~/printed\n{typed}")).current_dir(clone).process_group(0);
        let process = Process::spawn(bash, &home.join("complaints"));
        let group = Pid::from_raw(process.id().cast_signed()).expect("a child has a process id");
        Self { process, group }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Err(error) = kill_process_group(self.group, Signal::KILL) {
            assert_eq!(error, Errno::SRCH, "all of it has ended");
        }
    }
}

/// Puts the programs where a build puts them. The README's hub takes the usual port, which may be in use on this
/// machine: what is called `hephd` here hands another one to a hub.
fn build_into(clone: &Path, port: u16) {
    let built = clone.join("target/quick");
    fs::create_dir_all(&built).unwrap();
    symlink(&programs().heph, built.join("heph")).unwrap();
    let real = programs().hephd.display();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n*\"--mode server\"*) exec '{real}' \"$@\" --http-addr 127.0.0.1:{port} ;;\n\
         *) exec '{real}' \"$@\" ;;\nesac\n"
    );
    fs::write(built.join("hephd"), script).unwrap();
    fs::set_permissions(built.join("hephd"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn what_the_readme_says_to_type_works_as_it_stands() {
    let world = World::new();
    let (home, clone, port) = (world.dir("home"), world.dir("clone"), free_port());
    build_into(&clone, port);
    let [alone, with_a_hub] = &blocks("Use it")[..] else { panic!("two blocks of commands") };
    let with_a_hub = with_a_hub.replace(USUAL_PORT, &port.to_string());
    let and_then = "until heph sync --wait; do :; done\nheph list\nkill %2 %3\nwait\necho gone\n";

    let typed = format!("{alone}echo alone\n{with_a_hub}echo \"exit $?\"\n{and_then}");
    let mut shell = Shell::typing(&typed, &clone, &home);
    let Ended { code, stderr, .. } = shell.process.wait();

    let printed = fs::read_to_string(home.join("printed")).unwrap();
    let said = format!("{printed}\n--- {stderr}\n--- {}", fs::read_to_string(home.join("heph.log")).unwrap());
    assert_eq!(code, Some(0), "{said}");
    let (before, after) = printed.split_once("alone\n").expect(&said);
    assert!(before.contains("made ") && before.contains("  -       Try heph"), "{said}");
    assert!(after.contains("exit 0\n") || after.contains("heph retries in"), "the hub may be slower: {said}");
    assert!(after.contains("in step with the hub at http://127.0.0.1:"), "{said}");
    assert!(after.contains("Try heph") && after.ends_with("gone\n"), "{said}");
    assert!(stderr.is_empty(), "nobody complains: {said}");
}

#[test]
fn the_daemon_may_be_told_to_stop_and_started_again_in_one_breath() {
    let world = World::new();
    let home = world.dir("home");
    let mut path = vec![programs().heph.parent().expect("it lies in a directory").to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path = std::env::join_paths(path).unwrap();

    let typed = format!(
        "export PATH='{}'\nhephd --mode local 2>>~/heph.log &\nheph task one\nkill %1\n\
         hephd --mode local --device-name again 2>>~/heph.log &\nwait %1\nheph list\nkill %2\nwait %2\n",
        path.display()
    );
    let mut shell = Shell::typing(&typed, &home, &home);
    let Ended { code, stderr, .. } = shell.process.wait();

    let printed = fs::read_to_string(home.join("printed")).unwrap();
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{printed}");
    assert_eq!(printed.matches("heph daemon listening on").count(), 2, "{printed}");
    assert!(printed.lines().last().is_some_and(|line| line.ends_with("one")), "{printed}");
}

#[test]
fn every_page_s_commands_are_ones_that_a_shell_can_read() {
    for heading in ["See it", "Use it"] {
        for block in blocks(heading) {
            let read = Command::new("bash").args(["-n", "-c", &block]).status().unwrap();
            assert!(read.success(), "{block}");
        }
    }
}
