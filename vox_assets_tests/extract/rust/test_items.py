"""Items of a Rust file with their documentation, and the code that only tests compile."""

from __future__ import annotations

import textwrap

import pytest

from vox_assets.extract.rust import attributes
from vox_assets.extract.rust import items as items_module


def _parse(text: str) -> items_module.RustFile:
    return items_module.parse(textwrap.dedent(text))


def _symbols(text: str) -> list[str]:
    return [item.symbol for item in _parse(text).items]


def test_functions_of_every_kind_and_visibility_are_read() -> None:
    source = """
        pub const fn a() -> u8 { 1 }
        pub(super) async fn b() { c().await }
        pub(in crate::x) unsafe extern "C" fn c<'a, T>(x: &'a T) -> &'a T where T: Copy { x }
        struct S;
        impl<T> Shelf<T> where T: Ord { fn d(&self) {} }
        impl fmt::Display for &'static store::Shelf<u8> { fn e(&self) {} }
        pub trait Walk: Sized { fn f(&self); fn g(&self) { self.f() } }
        mod inner { pub mod deep { fn h() {} } }
        some_macro! { pub fn i() {} }
        another!( fn not_an_item );
    """
    assert _symbols(source) == [
        "a",
        "b",
        "c",
        "S",
        "Shelf::d",
        "Shelf::e",
        "Walk",
        "Walk::f",
        "Walk::g",
        "inner::deep::h",
        "i",
    ]
    items = {item.symbol: item for item in _parse(source).items}
    assert items["c"].signature.endswith("where T: Copy")
    assert items["c"].parameters == ("x: &'a T",)
    assert items["c"].result == "&'a T"
    container = items["Shelf::e"].container
    assert container is not None
    assert container.header == "impl fmt::Display for &'static store::Shelf<u8>"
    assert items["Walk"].members == ("f", "g")


def test_every_form_of_documentation_is_read() -> None:
    source = """
        /// First line,
        ///   indented.
        ///
        /// ```
        /// # hidden
        /// ```
        #[inline]
        /// After the attribute.
        fn a() {}
        /** Block
         * with stars.
         */
        fn b() {}
        /**
            Block without,
              indented.
        */
        fn c() {}
        #[doc = "From an \\"attribute\\"\\nand on."]
        #[doc = r#"Raw "text"."#]
        #[doc(hidden)]
        fn d() {}
        // not documentation
        //// nor this
        /*** nor this */
        fn e() {}
    """
    a, b, c, d, e = _parse(source).items
    assert a.doc == "First line,\n  indented.\n\n```\n# hidden\n```\nAfter the attribute."
    assert a.attributes == ("#[inline]",)
    assert b.doc == "Block\nwith stars."
    assert c.doc == "Block without,\n  indented."
    assert d.doc == 'From an "attribute"\nand on.\nRaw "text".'
    assert d.attributes == ("#[doc(hidden)]",)
    assert e.doc == ""


def test_lines_of_an_item_include_documentation_and_attributes() -> None:
    file = items_module.parse("//! File.\n\n/// Doc.\n#[inline]\npub fn a() {\n}\n\nfn b() {}\n")
    assert [(item.start_line, item.end_line) for item in file.items] == [(3, 6), (8, 8)]
    assert (file.doc, file.doc_lines) == ("File.", (1, 1))


def test_type_members_and_associated_types_are_read() -> None:
    source = """
        struct P { pub x: u8, y: u8 }
        enum E { A, B(u8) }
        type Alias<T> = Vec<T>;
        union U { a: u8, b: i8 }
        #[async_trait]
        impl Iterator for P { type Item = u8; fn next(&mut self) -> Option<u8> { None } }
    """
    items = {item.symbol: item for item in _parse(source).items}
    assert items["P"].members == ("x", "y")
    assert items["E"].members == ("A", "B")
    assert items["Alias"].signature == "type Alias<T> = Vec<T>"
    container = items["P::next"].container
    assert container is not None
    assert container.header.startswith("#[async_trait]\nimpl Iterator for P")
    assert container.associated == ("type Item = u8;",)


@pytest.mark.parametrize(
    "attribute",
    [
        "#[cfg(test)]",
        '#[cfg(all(test, feature = "x"))]',
        '#[cfg(any(unix, all(feature = "a", test)))]',
        "#[cfg(not(not(test)))]",
        "#[cfg (test)]",
        "#[cfg_attr(not(wasm), tokio::test)]",
        "#[test]",
        "#[ tokio :: test ]",
        '#[tokio::test(flavor = "multi_thread")]',
        "#[rstest]",
        '#[test_case(1 ; "one")]',
        "#[proptest]",
        "#[quickcheck]",
        "#[wasm_bindgen_test]",
        "#[sqlx::test]",
        "#[bench]",
        "#[should_panic]",
    ],
)
def test_items_with_a_test_attribute_are_skipped(attribute: str) -> None:
    assert attributes.is_test_attribute(attribute)
    assert _symbols(f"{attribute}\nfn a() {{}}\n{attribute}\nmod m {{ fn b() {{}} }}") == []


@pytest.mark.parametrize(
    "attribute",
    [
        "#[cfg(not(test))]",
        "#[cfg(not(any(test, unix)))]",
        '#[cfg(feature = "test")]',
        "#[cfg_attr(test, derive(Debug))]",
        "#[doc(test(attr(x)))]",
        "#[latest]",
        "#[contest(1)]",
        "#[inline]",
    ],
)
def test_items_with_other_attributes_are_kept(attribute: str) -> None:
    assert not attributes.is_test_attribute(attribute)
    assert _symbols(f"{attribute}\nfn a() {{}}") == ["a"]


def test_items_inside_macro_braces_are_read() -> None:
    source = """
        cfg_std! { pub struct A { x: u8 } }
        cfg_std! { cfg_net! { impl A { fn b() {} } } }
        quickcheck! { fn c(x: u8) -> bool { true } }
        proptest::proptest! { fn d() {} }
    """
    assert _symbols(source) == ["A", "A::b"]


def test_test_code_inside_modules_impls_and_bodies_is_skipped() -> None:
    file = _parse(
        """
        fn library() {}
        #[cfg(all(test, feature = "x"))]
        impl S { fn a() {} }
        mod m { #![cfg(test)] fn b() {} }
        mod tests { fn helper() {} }
        fn c() { #[cfg(test)] { d(); } }
        enum E { A, #[cfg(test)] B }
        fn e() { if cfg!(any(test, unix)) { d() } }
        fn f() { if cfg!(not(test)) { test() } }
        """
    )
    assert [item.name for item in file.items] == ["library", "f"]
    assert [skipped.name for skipped in file.skipped] == ["a", "b", "helper", "c", "E", "e"]


@pytest.mark.parametrize(
    "header",
    [
        "// @generated by a tool",
        "// Code generated by protoc. DO NOT EDIT.",
        "/* DO NOT EDIT: written by build.rs */",
        "//! Auto-generated by a schema compiler",
        "/* automatically generated by rust-bindgen 0.69 */",
    ],
)
def test_generated_files_are_left_out(header: str) -> None:
    file = items_module.parse(f"{header}\nfn a() {{}}\n")
    assert file.left_out is not None
    assert file.left_out.startswith("generated")


def test_only_a_header_comment_marks_a_generated_file() -> None:
    source = 'fn a() {\n    emit("// @generated, do not edit");\n}\n'
    assert items_module.parse(source).left_out is None
    assert items_module.parse("// ..\n" * 20 + "// do not edit\nfn a() {}").left_out is None


def test_a_file_with_a_cfg_test_attribute_is_test_code() -> None:
    assert items_module.parse("#![cfg(test)]\nfn a() {}").left_out == "test code: #![cfg(test)]"


def test_items_before_a_syntax_error_are_kept_with_their_impl() -> None:
    file = _parse(
        """
        fn whole() { 1 }
        mod m {
            impl<T> Shelf<T> where T: Ord {
                /// Doc.
                fn kept(&self) { 2 }
                fn broken(&self) { if x { let s = "abc
        """
    )
    assert [item.symbol for item in file.items] == ["whole", "m::Shelf::kept"]
    kept = file.items[1]
    assert kept.doc == "Doc."
    assert kept.container is not None
    assert kept.container.header == "impl<T> Shelf<T> where T: Ord"
    assert "a syntax error" in [skipped.reason for skipped in file.skipped]


def test_an_unfinished_test_module_stays_test_code() -> None:
    file = _parse("#[cfg(test)]\nmod tests {\n  fn helper() { 1 }\n  fn cut() {")
    assert file.items == ()


def test_functions_inside_an_unfinished_function_are_not_items() -> None:
    assert _symbols("fn outer() { if a { fn inner() { 1 } ") == []


@pytest.mark.parametrize(
    "source",
    [
        "fn a() { " + "(" * 20_000 + ")" * 20_000 + " }",
        "{" * 20_000,
        "mod a { " * 2_000 + "fn x() { 1 }" + "}" * 2_000,
        "impl A { " * 2_000,
        "fn a(x: " + "Vec<" * 5_000,
        "#[a]\n" * 5_000 + "fn a() {}",
        "#[cfg(" + "not(" * 3_000 + "test" + ")" * 3_000 + ")] fn a() {}",
        "m! { fn a() {} " * 1_000 + "}" * 1_000,
        "impl X for " + "&" * 5_000 + "Y { fn a() {} }",
        "/*" * 20_000,
        "fn a() { \0 }",
    ],
)
def test_parsing_terminates_on_deep_and_broken_files(source: str) -> None:
    items_module.parse(source)


def test_inner_doc_attributes_are_the_documentation_of_the_file() -> None:
    file = _parse('#![doc = "Maps of the sea."]\n//! And of the coast.\nmod a { #![doc = "A."] }\n')
    assert file.doc == "Maps of the sea.\nAnd of the coast."


def test_documentation_in_another_file_is_in_the_account_and_not_in_the_answer() -> None:
    file = _parse(
        """
        #![doc = include_str!("../README.md")]
        #[doc = include_str!("sail.md")]
        #[doc = std::concat!("a", "b")]
        #[inline]
        fn sail() {}
        """
    )
    assert file.doc == ""
    assert file.items[0].attributes == ("#[inline]",)
    assert [(skipped.name, skipped.reason) for skipped in file.skipped] == [
        ("", "documentation that include_str! writes"),
        ("sail", "documentation that include_str! writes"),
        ("sail", "documentation that std::concat! writes"),
    ]


def test_the_interface_of_a_trait_has_no_default_bodies() -> None:
    (trait, *_) = _parse(
        """
        pub trait Sail {
            const AREA: u8 = { 3 };
            fn up(&self);
            /// Down.
            fn down(&self) -> u8
            where
                Self: Sized,
            {
                let a = { 1 };
                a
            }
            fn both(&self) { self.up(); self.down(); }
        }
        """
    ).items
    assert trait.interface == textwrap.dedent(
        """\
        pub trait Sail {
            const AREA: u8 = { 3 };
            fn up(&self);
            /// Down.
            fn down(&self) -> u8
            where
                Self: Sized,;
            fn both(&self);
        }"""
    )
