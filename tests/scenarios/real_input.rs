//! Vaults as people have them: in on one device, there on all, out again byte for byte.

use std::{
    collections::BTreeMap,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use heph_api::types::{DocRow, ImportObsidian, ImportReport, ListDocs, PathText};
use heph_tests::{Device, World, files};
use serde_json::json;

/// A public vault, where it has been put beside the repository.
const HELP_VAULT: &str = "../shared/data/obsidian-help-en.tar.gz";

/// What file systems and editors really leave behind.
const ODD: &[(&[u8], &[u8])] = &[
    (b"crlf.md", b"one\r\ntwo\r\n"),
    (b"bom.md", b"\xef\xbb\xbfafter a mark\n"),
    (b"no final newline.md", b"the end"),
    (b"empty.md", b""),
    (b"only newlines.md", b"\n\n\n"),
    (b"lone returns.md", b"one\rtwo\r"),
    ("separators.md".as_bytes(), "a\u{2028}b\u{2029}c\u{85}d\u{0}e\u{1f98a}\n".as_bytes()),
    ("cafe\u{301} decomposed.md".as_bytes(), b"a name in NFD\n"),
    ("\u{e9}t\u{e9}.md".as_bytes(), b"one name, composed\n"),
    ("e\u{301}te\u{301}.md".as_bytes(), b"and decomposed\n"),
    (b"caf\xe9 latin.md", b"a name that is not UTF-8\n"),
    (b"A.md", b"a capital\n"),
    (b"a.md", b"a small one\n"),
    (b" spaces .md", b"around the name\n"),
    (b"tab\tand\nnewline.md", b"in the name\n"),
    (b"SHOUTING.MD", b"an extension in capitals\n"),
    (b"deep/er/and deeper/note.md", b"far down\n"),
];

/// What is no note, and so named as left out.
const NO_NOTES: &[(&[u8], &[u8])] = &[
    (b"picture.png", b"\x89PNG\r\n"),
    (b"deep/table.csv", b"a,b\n"),
    (b"not text.md", b"caf\xe9\n"),
    (b".obsidian/app.json", b"{}"),
];

fn import(device: &Device, dir: &Path) -> ImportReport {
    device.call(&ImportObsidian { dir: PathText(dir.to_owned()), vault: None })
}

fn docs(device: &Device) -> Vec<DocRow> {
    device.call(&ListDocs { limit: Some(10_000), ..ListDocs::default() }).docs
}

#[track_caller]
fn note_at(device: &Device, path: &str) -> String {
    let at = |doc: &DocRow| doc.path.as_ref().is_some_and(|own| own.as_path() == Path::new(path));
    let found = docs(device).into_iter().find(at);
    found.unwrap_or_else(|| panic!("no note at {path}")).node.node_id
}

fn is_note(path: &Path) -> bool {
    path.as_os_str().as_bytes().to_ascii_lowercase().ends_with(b".md")
}

fn exported(world: &World, device: &Device, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let dir = world.dir(name);
    device.heph(&["export", dir.to_str().unwrap()]).ok();
    files::read_tree(&dir, &|_| true)
}

#[track_caller]
fn assert_same_files(want: &BTreeMap<PathBuf, Vec<u8>>, got: &BTreeMap<PathBuf, Vec<u8>>) {
    let (wanted, there): (Vec<_>, Vec<_>) = (want.keys().collect(), got.keys().collect());
    assert_eq!(there, wanted, "the names differ");
    let other: Vec<_> = want.iter().filter(|(path, bytes)| got[*path] != **bytes).map(|(path, _)| path).collect();
    assert!(other.is_empty(), "the bytes of these differ: {other:?}");
}

/// A vault of this name below `parent`, with these files.
fn vault(parent: &Path, trees: &[&[(&[u8], &[u8])]]) -> PathBuf {
    let dir = parent.join("vault");
    trees.iter().for_each(|tree| files::write_tree(&dir, tree));
    dir
}

fn with_odd_vault(world: &World) -> PathBuf {
    vault(world.root(), &[ODD, NO_NOTES])
}

fn help_vault(world: &World) -> Option<PathBuf> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join(HELP_VAULT);
    if !archive.exists() {
        println!("skipped: there is no {}", archive.display());
        return None;
    }
    let dir = world.dir("obsidian-help");
    let unpacked = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&dir).status();
    assert!(unpacked.unwrap().success(), "the archive cannot be unpacked");
    Some(dir)
}

/// Two devices that have imported a vault each, before either knew the hub.
fn imported_apart(world: &World, first: &Path, second: &Path) -> [Arc<Device>; 2] {
    let devices = [world.lone_device("laptop"), world.lone_device("phone")];
    import(&devices[0], first);
    import(&devices[1], second);
    devices.iter().for_each(|device| device.join(&world.hub()));
    world.converge();
    devices
}

#[test]
fn a_public_vault_imported_on_one_device_is_exported_byte_for_byte_on_another() {
    let world = World::new();
    let Some(dir) = help_vault(&world) else { return };
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));

    let report = import(&laptop, &dir);
    let digest = world.converge();
    let out = exported(&world, &phone, "out");

    assert_eq!((report.notes, report.new, report.left_out.len()), (173, 173, 0));
    assert_eq!([laptop.digest(), phone.digest(), world.hub().digest()], [digest.clone(), digest.clone(), digest]);
    assert_same_files(&files::read_tree(&dir, &is_note), &out);
    phone.verify();
}

#[test]
fn a_public_vault_imported_again_writes_nothing_and_says_so() {
    let world = World::new();
    let Some(dir) = help_vault(&world) else { return };
    let laptop = world.lone_device("laptop");
    import(&laptop, &dir);
    let before = laptop.status();

    let said = laptop.heph(&["import", "obsidian", dir.to_str().unwrap()]).ok().text();

    assert!(said.contains("173 unchanged; nothing was written"), "{said}");
    let after = laptop.status();
    assert_eq!((after.op_count, after.state_digest), (before.op_count, before.state_digest));
}

#[test]
fn the_links_of_a_public_vault_lead_to_its_notes() {
    let world = World::new();
    let Some(dir) = help_vault(&world) else { return };
    let laptop = world.lone_device("laptop");

    let report = import(&laptop, &dir);
    let backlinks = laptop.json(&["backlinks", &note_at(&laptop, "Linking notes and files/Internal links.md")]);

    assert!(report.links > 1_500, "{} links", report.links);
    assert!(report.links_resolved > 1_300, "{} of {} links lead somewhere", report.links_resolved, report.links);
    let from: Vec<_> = backlinks.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap()).collect();
    assert!(from.contains(&"Aliases") && from.contains(&"Embed files"), "{from:?}");
}

#[test]
fn a_public_vault_imported_on_two_devices_apart_is_there_once() {
    let world = World::new();
    let Some(dir) = help_vault(&world) else { return };

    let devices = imported_apart(&world, &dir, &dir);

    let want = files::read_tree(&dir, &is_note);
    for device in &devices {
        assert_eq!(docs(device).len(), 173);
        assert!(device.conflicts().is_empty());
        assert_same_files(&want, &exported(&world, device, &format!("out-{}", device.name())));
    }
}

#[test]
fn an_odd_vault_comes_back_byte_for_byte_from_another_device() {
    let world = World::new();
    let dir = with_odd_vault(&world);
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));

    let report = import(&laptop, &dir);
    world.converge();

    assert_eq!(report.notes, ODD.len() as u64);
    let want = files::read_tree(&dir, &|path| is_note(path) && path != Path::new("not text.md"));
    assert_same_files(&want, &exported(&world, &phone, "out"));
}

#[test]
fn what_is_no_note_is_counted_and_named() {
    let world = World::new();
    let dir = with_odd_vault(&world);
    let laptop = world.lone_device("laptop");

    let report = import(&laptop, &dir);
    let said = laptop.heph(&["import", "obsidian", dir.to_str().unwrap()]).ok().text();

    let names: Vec<_> = report.left_out.iter().map(|file| file.name.to_string()).collect();
    assert_eq!(names, ["deep/table.csv", "not text.md", "picture.png"]);
    assert!(said.contains("left out 3 files:") && said.contains("picture.png: an attachment"), "{said}");
}

#[test]
fn an_odd_vault_imported_on_two_devices_apart_is_there_once() {
    let world = World::new();
    let dir = with_odd_vault(&world);

    let devices = imported_apart(&world, &dir, &dir);

    let want = files::read_tree(&dir, &|path| is_note(path) && path != Path::new("not text.md"));
    for device in &devices {
        assert_eq!(docs(device).len(), ODD.len());
        assert!(device.conflicts().is_empty());
        assert_same_files(&want, &exported(&world, device, &format!("out-{}", device.name())));
    }
}

#[test]
fn two_names_that_differ_in_case_only_are_two_notes_on_every_device() {
    let world = World::new();
    let dir = with_odd_vault(&world);

    let devices = imported_apart(&world, &dir, &dir);

    for device in &devices {
        let (capital, small) = (note_at(device, "A.md"), note_at(device, "a.md"));
        assert_ne!(capital, small);
        assert_eq!([device.text(&capital), device.text(&small)], ["a capital\n", "a small one\n"]);
    }
}

const MINE: &[(&[u8], &[u8])] = &[
    (b"same.md", b"the same on both\n"),
    (b"list.md", b"- apples\n- pears\n"),
    (b"A.md", b"a capital\n"),
    (b"a.md", b"a small one\n"),
];
const THEIRS: &[(&[u8], &[u8])] =
    &[(b"list.md", b"- apples\n- plums\n"), (b"more.md", b"only on the phone\n"), (b"a.md", b"a smaller one\n")];

/// Two devices that have imported slightly different copies of one vault apart.
fn different_copies() -> (World, [Arc<Device>; 2]) {
    let world = World::new();
    let mine = vault(&world.dir("mine"), &[MINE]);
    let theirs = vault(&world.dir("theirs"), &[MINE, THEIRS]);
    let devices = imported_apart(&world, &mine, &theirs);
    (world, devices)
}

#[test]
fn notes_that_differ_between_two_copies_of_a_vault_are_kept_side_by_side() {
    let (_world, devices) = different_copies();

    for device in &devices {
        assert_eq!(docs(device).len(), 5, "no note twice");
        let listed: Vec<_> = device.conflicts().into_iter().map(|row| (row.node.title, row.fields)).collect();
        assert_eq!(listed, [("a".into(), vec!["body".to_owned()]), ("list".into(), vec!["body".to_owned()])]);
        let mut texts = device.values(&note_at(device, "list.md"), "body");
        texts.sort_by_key(ToString::to_string);
        assert_eq!(texts, [json!("- apples\n- pears\n"), json!("- apples\n- plums\n")]);
        assert_eq!(device.text(&note_at(device, "A.md")), "a capital\n");
        assert_eq!(device.text(&note_at(device, "same.md")), "the same on both\n");
    }
}

#[test]
fn both_texts_of_a_note_that_differs_are_exported() {
    let (world, devices) = different_copies();

    let out = exported(&world, &devices[0], "out");

    let mut texts = [&out[Path::new("list.md")], &out[Path::new("list (conflict copy).md")]];
    texts.sort();
    assert_eq!(texts, [b"- apples\n- pears\n", b"- apples\n- plums\n"]);
    assert_eq!(out.len(), 7);
}

#[test]
fn a_note_that_differs_is_settled_on_one_device_for_all() {
    let (world, devices) = different_copies();
    let list = note_at(&devices[0], "list.md");

    devices[1].take(&list, "body", &json!("- apples\n- plums\n"));
    world.converge();

    for device in &devices {
        assert_eq!(device.text(&list), "- apples\n- plums\n");
        assert!(device.values(&list, "body").is_empty());
        assert_eq!(device.conflicts().len(), 1, "the other one is not settled yet");
    }
}

#[test]
fn importing_a_copy_again_after_the_devices_met_writes_nothing() {
    let (world, devices) = different_copies();
    let before = devices[0].status().op_count;

    let report = import(&devices[0], &world.root().join("mine/vault"));

    assert_eq!((report.ops, report.unchanged), (0, 4));
    assert_eq!(devices[0].status().op_count, before);
}

#[test]
fn a_note_changed_here_and_in_the_vault_has_both_changes_after_an_import() {
    let world = World::new();
    let dir = vault(world.root(), &[MINE]);
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));
    import(&laptop, &dir);
    world.converge();
    let list = note_at(&phone, "list.md");

    phone.rewrite(&list, "- apples\n- pears\n- quinces\n");
    world.converge();
    files::write_tree(&dir, &[(b"list.md", b"- red apples\n- pears\n")]);
    let report = import(&laptop, &dir);
    world.converge();

    assert_eq!((report.changed, report.unchanged), (1, 3));
    assert_eq!(phone.text(&list), "- red apples\n- pears\n- quinces\n");
}

#[test]
fn a_note_deleted_here_stays_deleted_when_its_vault_is_imported_again() {
    let world = World::new();
    let dir = vault(world.root(), &[MINE]);
    let laptop = world.lone_device("laptop");
    import(&laptop, &dir);
    let list = note_at(&laptop, "list.md");

    laptop.delete(&list);
    let report = import(&laptop, &dir);

    assert_eq!((report.skipped_deleted, report.unchanged, report.ops), (1, 3, 0));
    assert!(laptop.is_hidden(&list));
}

/// A small vault with every way to name a note.
const LINKED: &[(&[u8], &[u8])] = &[
    (
        b"Dog.md",
        b"---\naliases:\n  - Doggo\n  - \"The Good Boy\"\ntags: [animal, pet/dog]\n---\n\n# Dog\n\n## Food\n\nBones. #hungry\n",
    ),
    (
        b"Links.md",
        b"[[Dog]] [[doggo]] [[dog#Food]] ![[Dog#Food]] [[The Good Boy|him]] [[Nowhere]]\n\n```\n[[Dog]] #code\n```\n",
    ),
    (b"Deep/Same.md", b"one\n"),
    (b"Other/Same.md", b"the other\n"),
    (b"By path.md", b"[[Other/Same]]\n"),
];

#[test]
fn titles_aliases_headings_embeds_and_paths_lead_to_the_note() {
    let world = World::new();
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));

    let report = import(&laptop, &vault(world.root(), &[LINKED]));
    world.converge();

    assert_eq!((report.links, report.links_resolved), (7, 6), "code is no link");
    for device in [&laptop, &phone] {
        let from = |path| device.json(&["backlinks", &note_at(device, path)]);
        assert_eq!(from("Dog.md").as_array().map(Vec::len), Some(1));
        assert_eq!(from("Dog.md")[0]["title"], "Links");
        assert_eq!(from("Other/Same.md")[0]["title"], "By path");
        assert_eq!(from("Deep/Same.md"), json!([]));
    }
}

#[test]
fn tags_in_the_front_matter_are_tags_of_the_doc_and_those_in_the_text_are_found() {
    let world = World::new();
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));

    let report = import(&laptop, &vault(world.root(), &[LINKED]));
    world.converge();

    assert_eq!(report.tags, 3, "code is no tag");
    for tag in ["animal", "pet/dog"] {
        assert_eq!(phone.json(&["doc", "list", "--tag", tag])[0]["title"], "Dog", "{tag}");
    }
    assert_eq!(phone.json(&["search", "#hungry"])[0]["title"], "Dog");
}

#[test]
fn a_link_to_a_note_that_comes_later_leads_to_it() {
    let world = World::new();
    let dir = vault(world.root(), &[LINKED]);
    let laptop = world.lone_device("laptop");
    import(&laptop, &dir);

    let nowhere = laptop.doc("Nowhere", "here now\n");

    assert_eq!(laptop.json(&["backlinks", &nowhere])[0]["title"], "Links");
}

#[test]
fn an_export_into_a_directory_with_other_files_overwrites_none_of_them() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    import(&laptop, &vault(world.root(), &[MINE]));
    let out = world.dir("out");
    files::write_tree(&out, &[(b"list.md", b"my own\n"), (b"same.md", b"the same on both\n")]);

    let report = laptop.json(&["export", out.to_str().unwrap()]);

    assert_eq!((&report["written"], &report["unchanged"]), (&json!(2), &json!(1)));
    assert_eq!(report["left_out"][0]["name"], "list.md");
    assert_eq!(files::read_tree(&out, &|path| path == Path::new("list.md"))[Path::new("list.md")], b"my own\n");
}

#[test]
fn a_paragraph_written_while_another_device_settles_the_note_is_not_lost() {
    let (world, devices) = different_copies();
    let list = note_at(&devices[0], "list.md");
    world.hub().stop();

    devices[0].take(&list, "body", &json!("- apples\n- plums\n"));
    devices[1].append(&list, "- quinces");
    world.hub().start();
    world.converge();

    for device in &devices {
        let read = device.read(&list);
        let beside =
            read.contested.into_iter().flat_map(|contested| contested.heads).map(|head| head.value.to_string());
        let everywhere = beside.fold(read.text, |all, text| all + &text);
        assert!(everywhere.contains("- plums") && everywhere.contains("- quinces"), "{everywhere:?}");
    }
}

#[test]
fn a_text_saved_from_an_editor_that_was_open_while_the_note_was_settled_elsewhere_loses_nothing() {
    let (world, devices) = different_copies();
    let list = note_at(&devices[0], "list.md");

    let opened = devices[1].read(&list);
    devices[0].take(&list, "body", &json!("- apples\n- plums\n"));
    world.converge();
    let saved = devices[1].save(&list, &format!("{}- quinces\n", opened.text), &opened.version);
    world.converge();

    assert!(saved.changed);
    for device in &devices {
        let text = device.text(&list);
        assert!(text.contains("- plums\n") && text.contains("- quinces\n"), "{text:?}");
        assert_eq!(text.matches("- apples").count(), 1, "{text:?}");
        assert!(device.values(&list, "body").is_empty());
    }
}

#[test]
fn a_note_settled_differently_on_two_devices_keeps_both_texts() {
    let (world, devices) = different_copies();
    let list = note_at(&devices[0], "list.md");
    world.hub().stop();

    devices[0].take(&list, "body", &json!("- apples\n- pears\n"));
    devices[1].take(&list, "body", &json!("- apples\n- plums\n"));
    world.hub().start();
    world.converge();

    for device in &devices {
        let mut texts = device.values(&list, "body");
        texts.sort_by_key(ToString::to_string);
        assert_eq!(texts, [json!("- apples\n- pears\n"), json!("- apples\n- plums\n")]);
    }
}

#[test]
fn a_note_imported_on_two_devices_apart_is_edited_like_any_other_afterwards() {
    let world = World::new();
    let dir = vault(world.root(), &[MINE]);
    let devices = imported_apart(&world, &dir, &dir);
    let list = note_at(&devices[0], "list.md");
    world.hub().stop();

    devices[0].rewrite(&list, "- green apples\n- pears\n");
    devices[1].rewrite(&list, "- apples\n- pears\n- plums\n");
    world.hub().start();
    world.converge();

    for device in &devices {
        assert_eq!(device.text(&list), "- green apples\n- pears\n- plums\n");
        assert!(device.conflicts().is_empty());
    }
}
