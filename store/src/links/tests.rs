use super::*;
use proptest::prelude::*;

/// A link in one line: `target # heading ^ block | alias`, with `!` in front of an embed.
fn shown(link: &Link) -> String {
    let part =
        |mark: &str, text: &Option<String>| text.as_ref().map(|text| format!("{mark}{text}")).unwrap_or_default();
    let embed = if link.embed { "!" } else { "" };
    let (heading, block, alias) = (part("#", &link.heading), part("^", &link.block), part("|", &link.alias));
    format!("{embed}{}{heading}{block}{alias}", link.target)
}

#[track_caller]
fn check_links(text: &str, expected: &[&str]) {
    let links = read(text).links;
    assert_eq!(links.iter().map(shown).collect::<Vec<_>>(), expected, "{text}");
}

#[track_caller]
fn check_tags(text: &str, expected: &[&str]) {
    assert_eq!(read(text).tags, expected, "{text}");
}

#[test]
fn wikilinks() {
    check_links("See [[Cellar]] and [[ Cellar ]].", &["Cellar", "Cellar"]);
    check_links("[[Cellar#Left shelf|the shelf]]", &["Cellar#Left shelf|the shelf"]);
    check_links("[[house/Cellar]], [[house/Cellar.md]]", &["house/Cellar", "house/Cellar.md"]);
    check_links("![[Seed list]] ![[plan.png|300]]", &["!Seed list", "!plan.png|300"]);
    check_links("[[#Winter]] [[#^b1]] [[Cellar#^b1|there]]", &["#Winter", "^b1", "Cellar^b1|there"]);
    check_links("[[Cellar#Left#Top]] [[## team]]", &["Cellar#Left#Top", "#team"]);
    check_links("[[Bücherregal|*the* `shelf`]]", &["Bücherregal|*the* `shelf`"]);
    check_links("Two lines: [[Cellar]]\nand [[Attic|up\nthere]]", &["Cellar"]);
    check_links("[[]] [[ ]] [[|x]] [[#]] [[a", &[]);
    check_links("[[A & B]] [[A &amp; B]] [[a_b_c]] [[1. Start]]", &["A & B", "A &amp; B", "a_b_c", "1. Start"]);
}

#[test]
fn links_stand_anywhere_but_in_code() {
    check_links("`[[A]]` and ``[[B]] ` [[C]]``", &[]);
    check_links("```\n[[A]]\n```\n\n    [[B]]\n\n~~~md\n![[C]]\n~~~\n[[D]]", &["D"]);
    check_links(
        "# [[A]]\n\n> [[B]]\n\n- [[C]]\n  - [ ] [[D]]\n\n**[[E]]** _[[F|g]]_",
        &["A", "B", "C", "D", "E", "F|g"],
    );
    check_links("| a | b |\n|---|---|\n| [[A\\|x]] | [[B|y]] |", &["A|x", "B|y"]);
    check_links("[^1]: [[A]]\n\ntext[^1]", &["A"]);
    check_links("\\[[A]] and \\[\\[B\\]\\]", &[]);
    check_links("$[[1,2],[3,4]]$ and $$\n[[x]]\n$$", &[]);
    check_links("it costs $5 [[A]] or $6", &["A"]);
}

#[test]
fn markdown_links() {
    check_links("[the cellar](house/Old%20one.md#Left%20shelf)", &["house/Old one.md#Left shelf|the cellar"]);
    check_links("[up](../Index.MD) [x](<With space.md>)", &["../Index.MD|up", "With space.md|x"]);
    check_links(
        "[bare](Three%20laws) [here](#Winter) [b](a.md#^id)",
        &["Three laws|bare", "#Winter|here", "a.md^id|b"],
    );
    check_links("[**bold** `code`](a.md) ![plan](b.md)", &["a.md|bold code", "!b.md|plan"]);
    check_links("[r][ref] and [ref]\n\n[ref]: Note%231.md", &["Note#1.md|r", "Note#1.md|ref"]);
    check_links("[caf%E9](caf%E9.md) [50%](50%.md)", &["caf%E9.md|caf%E9", "50%.md|50%"]);
    check_links("[w](https://example.org/a.md) [m](mailto:a@b) <https://x.org> [s](//h/a.md) [p](a.pdf) [e]()", &[]);
}

#[test]
fn ranges_cover_the_whole_link() {
    let text = "---\na: b\n---\nÜber [[A|b]], ![[C]], [d](e.md).";
    let reading = read(text);
    let slices: Vec<_> = reading.links.iter().map(|link| &text[link.range.clone()]).collect();
    assert_eq!(slices, ["[[A|b]]", "![[C]]", "[d](e.md)"]);
    assert_eq!(reading.front_matter, Some(0..13));
}

#[test]
fn front_matter() {
    let text = "---\naliases:\n  - Cold room\n  - \"Down: there\"\n  - 1.10\ntags: [home, '#winter/stock']\n\
                permalink: cellar\nsize: {w: 1, l: [2]}\n---\nText";
    let reading = read(text);
    assert_eq!(reading.aliases, ["Cold room", "Down: there", "1.10"]);
    assert_eq!(reading.tags, ["home", "winter/stock"]);
    assert_eq!(reading.permalink.as_deref(), Some("cellar"));
    assert_eq!(&text[reading.front_matter.expect("there is one").end..], "Text");
}

#[test]
fn front_matter_as_people_write_it() {
    let scalars = read("---\nAliases: One, Two words\nTags: a b, c/d # and no comment\n---\n");
    assert_eq!(scalars.aliases, ["One", "Two words"]);
    assert_eq!(scalars.tags, ["a", "b", "c/d"]);
    let crlf = read("\u{feff}---\r\nalias: Cold room\r\ntag:\r\n- a\r\n- b\r\n---\r\n[[X]]\r\n");
    assert_eq!((crlf.aliases.len(), crlf.tags.len(), crlf.links.len()), (1, 2, 1));
    let empties = read("---\naliases:\ntags: [~, '', null, 'null', x]\npermalink: ~\n---\n");
    assert_eq!((empties.aliases.len(), empties.permalink), (0, None));
    assert_eq!(empties.tags, ["null", "x"]);
    assert_eq!(read("---\n---\n#a").tags, ["a"]);
}

#[test]
fn what_is_no_front_matter() {
    for text in ["\n---\ntags: a\n---\n", " ---\ntags: a\n---\n", "----\ntags: a\n---\n", "---\ntags: a\n", "---", ""] {
        let reading = read(text);
        assert_eq!((reading.front_matter, reading.tags), (None, Vec::new()), "{text:?}");
    }
}

#[test]
fn malformed_front_matter_says_nothing() {
    for yaml in [
        "tags: [a",
        "tags: a\naliases: \"x",
        "tags: a\n  : b: c",
        "- tags",
        "just text",
        "tags: a\n\t- b",
        "tags: *nobody",
        "tags: a\n...\ngarbage: [",
        "{tags: a}}",
    ] {
        let reading = read(&format!("---\n{yaml}\n---\n[[A]]"));
        assert_eq!((reading.tags.len(), reading.aliases.len(), reading.links.len()), (0, 0, 1), "{yaml}");
    }
    let long = format!("---\ntags: a\nx: {}\n---\n#b", "y".repeat(70_000));
    assert_eq!(read(&long).tags, ["b"]);
    let deep = format!("---\ntags: {}\n---\n#b", "[".repeat(60_000));
    assert_eq!(read(&deep).tags, ["b"]);
}

#[test]
fn inline_tags() {
    check_tags("#garden and #Garden, #home/cellar; #a-b_c.", &["garden", "home/cellar", "a-b_c"]);
    check_tags("#1984 #y1984 #1/2 #2026-11 # #/ ##x", &["y1984", "2026-11"]);
    check_tags("a#b (#c) https://x.org/#d \\#e &#35;f", &[]);
    check_tags("# Heading #one\n\n#two\n- #three\n- [ ] #four\n> #five", &["one", "two", "three", "four", "five"]);
    check_tags("`#a` [#b](c.md) [[#d]] [[x|#e]]\n\n```\n#f\n```\n", &[]);
    check_tags("**#bold** _#it_ x**#no**", &["bold", "it"]);
    check_tags("#snake_case_tag and #two_ #one#other #nested/", &["snake_case_tag", "two_", "one", "other", "nested"]);
    check_tags("#gemüse #gemu\u{308}se #日本語、x #🌱 #a…b", &["gemüse", "日本語", "🌱", "a"]);
    check_tags("<div>\n#a\n</div>\n\ntext <b>#c</b>", &[]);
}

#[test]
fn headings() {
    let text = "# The *old* `cellar`\n\ntext\n\nLeft [[Shelf|shelf]]\n---\n\n### Sub #tag ###\n\n```\n# no\n```\n";
    let reading = read(text);
    let headings: Vec<_> = reading.headings.iter().map(|heading| (heading.level, heading.text.as_str())).collect();
    assert_eq!(headings, [(1, "The old cellar"), (2, "Left shelf"), (3, "Sub #tag")]);
    assert!(text[reading.headings[0].range.clone()].starts_with("# The"));
}

#[test]
fn checklist() {
    let text =
        "- [ ] buy *soil*\n- [x] sow [[Peas]]\n  by hand\n  - [X] deep\n- plain\n1. [ ] first\n\n   more\n\n[ ] no\n";
    let reading = read(text);
    let checks: Vec<_> = reading.checklist.iter().map(|check| (check.done, check.text.as_str())).collect();
    assert_eq!(checks, [(false, "buy soil"), (true, "sow Peas by hand"), (true, "deep"), (false, "first")]);
    assert_eq!(&text[reading.checklist[1].range.clone()], "[x]");
}

#[test]
fn block_ids() {
    let text = "A paragraph. ^b1\n\n- item ^item-2\n- x^2\n\n> quote\n\n^quote\n\n`^code`\n\n\
                not ^here at all\n\n\\^no\n\n![[x]]^pic";
    assert_eq!(read(text).blocks, ["b1", "item-2", "quote", "pic"]);
}

#[test]
fn keys() {
    for (target, expected) in [
        ("Cellar", "cellar"),
        (" Cellar.md ", "cellar"),
        ("House\\Cellar.MD", "house/cellar"),
        ("./House/Cellar", "house/cellar"),
        ("../../House/Cellar", "house/cellar"),
        ("/House/Cellar", "house/cellar"),
        ("Mu\u{308}sli", "m\u{fc}sli"),
        ("STRASSE", "strasse"),
        ("...", "..."),
        ("", ""),
    ] {
        assert_eq!(key(target), expected, "{target}");
    }
    assert_eq!(key("Straße"), key("strasse"));
    assert_eq!(basename_key("House/Cellar.md"), "cellar");
    assert_eq!(basename_key("Cellar"), "cellar");
    assert_eq!(heading_key("Left shelf: jars & `tins`"), "left shelf jars tins");
    assert_eq!(heading_key("Chapter#Left  Shelf jars tins"), heading_key("Left shelf: jars & tins!"));
}

/// Texts on which a careless reader takes a time that grows with the square of their length.
#[test]
fn long_texts_are_read_in_time() {
    for piece in [
        "[[", "![[", "[[a|", "[[a]]", "]]", "#a ", "^a ", "[a](b.md", "[[#", "- [ ] ", "> ", "$", "`", "*a_", "[^",
        "<a ", "{", "? ", "a: ", "a:\n", "&a ", "*a ", "!a ", "\"", "'\\", "- ", "-\n", "|\n", "%A\n", ", ", "\t",
    ] {
        let text = piece.repeat(60_000 / piece.len());
        let begin = std::time::Instant::now();
        let _ = read(&text);
        for yaml in [text.clone(), format!("a: {text}"), format!("a:\n  - {text}")] {
            let _ = read(&format!("---\n{yaml}\n---\n"));
        }
        assert!(begin.elapsed().as_secs() < 5, "{piece:?} took {:?}", begin.elapsed());
    }
}

fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(vec![
        "---\n",
        "\n",
        "\r\n",
        "[[",
        "]]",
        "|",
        "![[",
        "#",
        "^",
        "a",
        "Ü",
        "u\u{308}",
        " ",
        "\t",
        "`",
        "```",
        "- ",
        "[ ] ",
        "\\",
        "(",
        ")",
        "[",
        "]",
        ".md",
        "%20",
        "%E9",
        "tags: ",
        "aliases:\n",
        "- x\n",
        "{",
        "}",
        "\"",
        "'",
        "&",
        "*",
        "_",
        ">",
        "<b>",
        ": ",
        "? ",
        "!!str ",
        "&a ",
        "*a",
        "\u{feff}",
        "\0",
        "\u{2028}",
        "$",
        "~~",
        "1. ",
        "=",
    ]);
    prop::collection::vec(scrap, 0..60).prop_map(|scraps| scraps.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read(text in scraps(), front in any::<bool>()) {
        let text = if front { format!("---\n{text}") } else { text };
        let reading = read(&text);
        let headings = reading.headings.iter().map(|heading| &heading.range);
        for range in reading.links.iter().map(|link| &link.range).chain(headings) {
            prop_assert!(text.get(range.clone()).is_some());
        }
        prop_assert!(reading.links.is_sorted_by_key(|link| link.range.start));
        prop_assert!(reading.tags.iter().all(|tag| !tag.is_empty()));
    }
}
