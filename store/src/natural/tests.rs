use super::*;
use jiff::civil::date;
use proptest::prelude::*;

/// Computed by another program, from the recipe in words.
#[test]
fn vectors() {
    let hash: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).expect("below 32"));
    for (id, expected) in [
        (journal(date(2026, 11, 20)), "97fa62e9-3e8b-5a5e-a4e8-514c46159141"),
        (journal(date(0, 1, 1)), "4e4572b1-6e67-5f00-ac75-be16058f2fe3"),
        (tag("Garden"), "e8393633-cb5e-5324-8593-9edfe59d757e"),
        (tag(" home/Garden "), "3708920f-9daa-58a4-bcf3-8451310f5850"),
        (tag("Stra\u{df}e"), "882fb710-7dc2-5f89-aaba-31e1b863282e"),
        (tag("Gem\u{fc}se"), "6cfe2a01-32c7-53e8-a2ab-050d787b7d4e"),
        (tag("GEMU\u{308}SE"), "6cfe2a01-32c7-53e8-a2ab-050d787b7d4e"),
        (tag("\u{1fb3}"), "ce4734da-2846-5c78-b044-68c1ed21fc52"),
        (tag("\u{130}stanbul"), "bbce695c-3a10-53a3-afea-a7be5aa6b7bd"),
        (note("home", b"A.md", false), "18c2c505-7506-578c-b603-da0673e3c7c1"),
        (note("home", b"a.md", false), "b816ac04-8995-575b-bc64-10df51974187"),
        (note("home", "Ku\u{308}che/M\u{fc}ll.md".as_bytes(), false), "ab169c53-777b-5150-a1cc-35bb2d64d849"),
        (note("home", "Ku\u{308}che/M\u{fc}ll.md".as_bytes(), true), "e8739b58-e1e0-5987-9d46-5b118a13a2e5"),
        (note("home", b"caf\xe9.md", false), "babd985a-47c6-5f4a-bee8-f3c6c7416958"),
        (note("ab", b"c.md", false), "98b8144d-9631-5a52-acdc-90b2d497b86e"),
        (note("a", b"bc.md", false), "bbcb4850-0ce3-530e-b383-e51daaae151e"),
        (context(&0x0192f3a4_b5c6_7d8e_9fa0_b1c2d3e4f506_u128.to_be_bytes()), "bf42676f-155f-5c2b-9b18-608896b91968"),
        (undo_mark(&hash), "f8d65b18-da29-53fd-be8d-9e2027f7f230"),
    ] {
        assert_eq!(id.to_string(), expected);
    }
    assert_eq!(NAMESPACE.to_string(), "5eb70a01-c261-4d59-825c-10e8df7000cd");
}

#[test]
fn unicode_versions_are_pinned() {
    assert_eq!(caseless::UNICODE_VERSION, (16, 0, 0), "the fold of a tag decides its id: see the module's words");
    assert_eq!(unicode_normalization::UNICODE_VERSION, (18, 0, 0), "NFC decides ids: see the module's words");
}

#[test]
fn tag_keys() {
    for (name, key) in [
        ("Garden", "garden"),
        ("\u{a0}\u{2003}Garden\u{3000}\r\n", "garden"),
        ("two  words", "two  words"),
        ("#Garden", "#garden"),
        ("STRASSE", "strasse"),
        ("Stra\u{1e9e}e", "strasse"),
        ("\u{3a3}\u{3c2}", "\u{3c3}\u{3c3}"),
        ("E\u{301}", "\u{e9}"),
        ("", ""),
    ] {
        assert_eq!(tag_key(name), key, "{name:?}");
    }
}

#[test]
fn paths_are_neither_trimmed_nor_folded() {
    let id = |path: &str| note("home", path.as_bytes(), false);
    assert_ne!(id("A.md"), id("a.md"));
    assert_ne!(id("a.md "), id("a.md"));
    assert_eq!(id("\u{e9}.md"), id("e\u{301}.md"));
    // The one that is in NFC already keeps its id, whether another file claims the key or not.
    assert_eq!(note("home", "\u{e9}.md".as_bytes(), true), id("\u{e9}.md"));
    assert_ne!(note("home", "e\u{301}.md".as_bytes(), true), id("e\u{301}.md"));
}

/// Every character's key is its own key: asked again, nothing moves.
#[test]
fn keys_are_stable_for_every_character() {
    for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
        let key = tag_key(&format!("x{c}"));
        assert_eq!(tag_key(&key), key, "U+{:04X}", u32::from(c));
    }
}

#[test]
fn white_space_is_unicodes() {
    for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
        assert_eq!(is_white_space(c), c.is_whitespace(), "U+{:04X}", u32::from(c));
    }
}

proptest! {
    #[test]
    fn equivalent_names_are_one_tag(name in "\\PC{0,12}") {
        let decomposed: String = name.nfd().collect();
        prop_assert_eq!(tag(&name), tag(&decomposed));
        prop_assert_eq!(tag(&name), tag(&tag_key(&name)));
        prop_assert_eq!(note("v", name.as_bytes(), false), note("v", decomposed.as_bytes(), false));
    }

    #[test]
    fn any_path_has_an_id(path in prop::collection::vec(any::<u8>(), 0..40), raw: bool) {
        prop_assert_eq!(note("v", &path, raw).get_version_num(), 5);
    }
}
