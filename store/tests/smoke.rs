//! Two replicas write apart, exchange pages, and show the same.
#![allow(clippy::unwrap_used)]

use heph_store::env::SystemEnv;
use heph_store::field::{Field, KIND, TITLE, Value};
use heph_store::id::NodeId;
use heph_store::read::Reads;
use heph_store::replica::Replica;
use heph_store::{Error, page};
use std::path::Path;
use std::sync::Arc;

fn open(dir: &Path, name: &str) -> Replica {
    Replica::open(&dir.join(name), Arc::new(SystemEnv)).unwrap()
}

fn field(name: &str) -> Field {
    Field::new(name).unwrap()
}

fn exchange(from: &Replica, to: &mut Replica) {
    let (reads, theirs) = (from.reads().unwrap(), to.reads().unwrap());
    let vector = theirs.read(|view| view.vector()).unwrap();
    let mut position = 0;
    loop {
        let page = reads
            .read(|view| {
                let (coverage, _) = view.coverage(&vector)?;
                view.page_after(position, &coverage, page::PAGE_BYTES_AIM)
            })
            .unwrap();
        let Some(page) = page else { break };
        position = page.position;
        let stretches = page::decode(&page.bytes).unwrap();
        to.group(|group| group.ingest(&stretches, None)).unwrap().unwrap();
    }
}

fn digest(replica: &Replica) -> [u8; 32] {
    replica.reads().unwrap().read(|view| view.summary()).unwrap().digest
}

fn doc(replica: &mut Replica, title: &str, text: &str) -> NodeId {
    let written = replica.group(|group| {
        group.write(|draft| {
            let node = draft.fresh_node();
            draft.set(node, &field(KIND), Value::text("doc"))?;
            draft.set(node, &field(TITLE), Value::text(title))?;
            draft.save_body(node, text, None)?;
            Ok::<_, Error>(node)
        })
    });
    written.unwrap().unwrap().answer
}

fn text(replica: &Replica, node: NodeId) -> String {
    let reads: Reads = replica.reads().unwrap();
    reads.read(|view| Ok::<_, Error>(view.body(&view.node(node)?.unwrap())?.text)).unwrap()
}

#[test]
fn two_replicas_meet() {
    let dir = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (open(dir.path(), "a.db"), open(dir.path(), "b.db"));
    let node = doc(&mut a, "Garden", "one\ntwo\n");
    exchange(&a, &mut b);
    assert_eq!(text(&b, node), "one\ntwo\n");
    a.group(|g| g.write(|d| d.append_body(node, "from a\n"))).unwrap().unwrap();
    b.group(|g| g.write(|d| d.set(node, &field(TITLE), Value::text("Gardens")))).unwrap().unwrap();
    b.group(|g| g.write(|d| d.append_body(node, "from b\n"))).unwrap().unwrap();
    exchange(&a, &mut b);
    exchange(&b, &mut a);
    assert_eq!(digest(&a), digest(&b));
    let both = text(&a, node);
    assert!(both.contains("from a") && both.contains("from b"), "{both}");
    for replica in [&a, &b] {
        let report = heph_store::verify::verify(replica.path(), Arc::new(SystemEnv)).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!(report.digest, digest(&a));
    }
    let report = heph_store::copy::backup(a.path(), &dir.path().join("copy.db")).unwrap();
    assert_eq!(report.digest, digest(&a));
}
