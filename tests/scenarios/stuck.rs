//! A daemon that does not answer, or does not end: nobody waits for it for ever.

use std::time::{Duration, Instant};

use heph_tests::{Process, World, wait};
use rustix::process::Signal;

/// Longer than the longest deadline of a question, shorter than for ever.
const SOON: Duration = Duration::from_secs(25);

#[test]
fn a_daemon_that_stands_still_is_told_and_not_waited_for() {
    let world = World::new();
    let laptop = world.stopped_device("laptop");
    let mut daemon = Process::spawn(laptop.command(), &laptop.log());
    daemon.ready("heph daemon listening on").unwrap();
    let (out, vault) = (world.root().join("out"), world.dir("vault"));
    let (out, vault) = (out.to_str().unwrap(), vault.to_str().unwrap());
    daemon.signal(Signal::STOP);

    for (words, deadline) in [
        (&["sync", "--wait"][..], "2 s"),
        (&["sync", "--switch-hub"], "2 s"),
        (&["import", "obsidian", vault], "2 s"),
        (&["export", out], "2 s"),
        (&["verify"], "2 s"),
        (&["backup", out], "2 s"),
        (&["list"], "10 s"),
    ] {
        let begun = Instant::now();
        let said = laptop.heph(&[words, &["--json"]].concat()).exits(1);
        assert!(begun.elapsed() < SOON, "{} took {:?}", said.typed, begun.elapsed());
        let error = said.error();
        assert_eq!(error.code, "too_slow");
        assert!(error.message.ends_with(&format!("did not answer within {deadline}")), "{}", error.message);
    }

    daemon.signal(Signal::CONT);
    laptop.heph(&["verify"]).ok();
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code, Some(0));
}

#[test]
fn a_second_signal_ends_at_once_what_the_first_began_to_stop() {
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let world = World::new();
        let laptop = world.stopped_device("laptop");
        let mut daemon = Process::spawn(laptop.command(), &laptop.log());
        daemon.ready("heph daemon listening on").unwrap();
        let task = laptop.task("Buy milk");
        let half = crate::half_a_request(&laptop);

        daemon.signal(Signal::TERM);
        wait::until("the stop to begin", || (!laptop.socket_path().exists()).then_some(()));
        daemon.signal(second);
        let ended = daemon.wait();

        assert_eq!(ended.code, Some(code), "{ended:?}");
        drop(half);
        laptop.start();
        assert_eq!(laptop.title(&task), "Buy milk");
    }
}
