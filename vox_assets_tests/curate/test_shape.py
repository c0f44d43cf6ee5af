"""The shape of code is the same under other names, and of different code it is not."""

from __future__ import annotations

import time

from vox_assets.curate.shape import named_alike, shape, shape_digest, skeleton

CODE = """fn total_price(items: &[Item], rate: f64) -> f64 {
    let mut sum = 0.0;
    for item in items { sum += item.price * f64::from(item.count); }
    sum * (1.0 + rate)
}"""
RENAMED = CODE
for old, new in (
    ("total_price", "weight_of"),
    ("item", "piece"),
    ("rate", "extra"),
    ("sum", "acc"),
):
    RENAMED = RENAMED.replace(old, new)


def test_consistent_renaming_keeps_both_shapes() -> None:
    assert shape(CODE, literals=True) == shape(RENAMED, literals=True) is not None
    assert shape_digest(CODE) == shape_digest(RENAMED)
    assert skeleton(CODE) == skeleton(RENAMED)


def test_names_that_are_mixed_up_change_the_shape() -> None:
    assert shape(RENAMED.replace("acc * (", "extra * ("), literals=True) != shape(
        CODE, literals=True
    )


def test_a_shape_with_literals_tells_numbers_types_and_truth_apart() -> None:
    for old, new in (("1.0", "2.0"), ("f64", "f32"), ("let mut", "let")):
        assert shape(CODE.replace(old, new), literals=True) != shape(CODE, literals=True)
    kept = CODE.replace("rate)", "true)")
    assert shape(kept, literals=True) != shape(kept.replace("true", "false"), literals=True)
    assert shape(CODE.replace("1.0", "2.0")) == shape(CODE)


def test_short_code_has_no_shape() -> None:
    assert shape("fn f() {}") is None
    assert shape_digest("fn f() {}") is None


def test_prompts_for_two_programs_of_one_shape_become_equal() -> None:
    one = named_alike(CODE, "Write `total_price`, which adds each price with a rate.")
    other = named_alike(RENAMED, "Write `weight_of`, which adds each price with a extra.")
    assert one == other
    assert named_alike(CODE, "Write it.") == "Write it ."


def test_a_line_of_escaped_quotes_is_read_in_linear_time() -> None:
    start = time.process_time()
    shape('"\\"' * 60_000)
    assert time.process_time() - start < 5
