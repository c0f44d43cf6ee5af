//! Uses several parts of the crate together, as the Vox help printer does.

use vox_text::table::{parse_rule_line, render_table, Align};
use vox_text::wrap::{dedent, wrap_balanced};
use vox_text::{split_words, CaseStyle, Glob, MultiSearch, Rope};

#[test]
fn help_page() {
    let source = "\n    | name | size |\n    | ---- | ---: |\n    | a | 10 |\n    | beta | 7 |\n";
    let text = dedent(source);
    let mut lines = text.lines().filter(|l| !l.is_empty());
    let header = lines.next().expect("header");
    let aligns = parse_rule_line(lines.next().expect("rule")).expect("a rule line");
    assert_eq!(aligns, [Align::Left, Align::Right]);
    let rows: Vec<Vec<&str>> = std::iter::once(header)
        .chain(lines)
        .map(|l| l.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(
        render_table(&rows, &aligns, 2),
        "name  size\na       10\nbeta     7\n"
    );
}

#[test]
fn rename_in_a_rope() {
    let mut rope = Rope::from("let maxDepth = 3\nsay maxDepth\n");
    let new = CaseStyle::Snake.render("maxDepth");
    let search = MultiSearch::new(&["maxDepth"]);
    let text = rope.slice(0, rope.len()).expect("whole text");
    let mut hits: Vec<_> = search.find_all(&text).collect();
    hits.reverse();
    for hit in hits {
        assert_eq!(rope.remove(hit.start, hit.end).as_deref(), Some("maxDepth"));
        assert!(rope.insert(hit.start, &new));
    }
    assert_eq!(
        rope.lines().collect::<Vec<_>>(),
        ["let max_depth = 3", "say max_depth"]
    );
}

#[test]
fn small_pieces() {
    assert_eq!(split_words("a-b"), ["a", "b"]);
    assert_eq!(wrap_balanced("one two", 3), ["one", "two"]);
    let glob = Glob::compile("**/*.vox").expect("valid pattern");
    assert!(glob.matches("a/b/c.vox"));
}
