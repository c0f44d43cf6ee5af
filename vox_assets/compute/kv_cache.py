"""Keep the keys and values of a batch whose prompts begin with the same tokens.

The keys and values of the shared prefix are stored and read once per batch, and those of the rows
are in buffers with room for their answers, so that no step copies them. The module imports torch:
import it inside functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

#: Keys and values of one layer, each [rows, heads, tokens, width].
Pair = tuple[torch.Tensor, torch.Tensor]

#: The type of keys and values of rows that share a prefix. On a CPU, products of many small
#: matrices are slower in bfloat16 than in float32, and they round the scores.
SHARED_DTYPE = torch.float32

#: The name under which transformers finds the attention over prefix and rows.
_ATTENTION = "vox_assets_shared_prefix"
#: Arguments with which a model asks for another attention than the plain one.
_VARIANTS = ("softcap", "s_aux", "position_bias", "sliding_window")


class UnsupportedAttentionError(NotImplementedError):
    """Raised for a model whose attention is not plain scaled dot-product attention."""


class _Layer(DynamicLayer):
    """Keys and values of the rows in one layer, in buffers of a fixed number of columns."""

    def __init__(self, rows: int, columns: int, used: int, like: Pair, dtype: torch.dtype) -> None:
        super().__init__()
        # Zeros instead of free memory: a masked column has the weight 0, and 0 * NaN is NaN.
        self.keys, self.values = (
            states.new_zeros((rows, states.shape[1], columns, states.shape[3]), dtype=dtype)
            for states in like
        )
        self.used = used
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> Pair:
        first, self.used = self.used, self.used + key_states.shape[-2]
        self.keys[:, :, first : self.used] = key_states
        self.values[:, :, first : self.used] = value_states
        return self.keys[:, :, : self.used], self.values[:, :, : self.used]

    def get_seq_length(self) -> int:
        return self.used

    def select(self, rows: torch.Tensor) -> None:
        self.keys, self.values = self.keys[rows], self.values[rows]


class SharedPrefixCache:
    """The keys and values of a batch: `prefix` once for all rows, and the rows' own.

    The rows' own columns end at the same column, so that all answers begin there: shorter prompts
    have unused columns before them.
    """

    def __init__(self, prefix: DynamicCache | None, rows: int, width: int, room: int) -> None:
        """Make a cache for `rows` prompts of at most `width` tokens and answers of `room`."""
        self.prefix = prefix
        self.width = width
        self._rows, self._room = rows, room
        self._layers: list[_Layer] = []

    @property
    def prefix_length(self) -> int:
        return self.prefix.get_seq_length() if self.prefix is not None else 0

    def for_prompts(self, rows: int) -> DynamicCache:
        """Return a cache with the prefix, in which the model reads the prompts of `rows` rows."""
        cache = DynamicCache()
        for layer in self.prefix.layers if self.prefix is not None else ():
            seen = DynamicLayer()
            seen.lazy_initialization(layer.keys, layer.values)
            seen.keys = layer.keys.expand(rows, -1, -1, -1)
            seen.values = layer.values.expand(rows, -1, -1, -1)
            cache.layers.append(seen)
        return cache

    def store(self, first: int, read: DynamicCache) -> None:
        """Copy the prompts that were read in `for_prompts` to the rows from `first` on."""
        skipped = self.prefix_length
        for index, layer in enumerate(read.layers):
            keys, values = layer.keys[:, :, skipped:], layer.values[:, :, skipped:]
            if index == len(self._layers):
                size = self._rows, self.width + self._room
                dtype = keys.dtype if self.prefix is None else SHARED_DTYPE
                self._layers.append(_Layer(*size, self.width, (keys, values), dtype))
            rows = slice(first, first + len(keys))
            columns = slice(self.width - keys.shape[2], self.width)
            self._layers[index].keys[rows, :, columns] = keys
            self._layers[index].values[rows, :, columns] = values

    def for_answers(self) -> Cache:
        """Return the cache of the rows, for steps of one token inside `attending`."""
        return Cache(layers=list(self._layers))

    def select(self, rows: torch.Tensor) -> None:
        """Keep the rows of these indices."""
        for layer in self._layers:
            layer.select(rows)

    @contextmanager
    def attending(self, model: Any) -> Iterator[None]:
        """Let the model's attention read the prefix besides the rows, for steps of one token."""
        if self.prefix is None:
            yield
            return
        config = model.config.get_text_config()
        layers = [
            (layer.keys[0].to(SHARED_DTYPE), layer.values[0].to(SHARED_DTYPE))
            for layer in self.prefix.layers
        ]
        ALL_ATTENTION_FUNCTIONS.register(_ATTENTION, partial(_attend, layers))
        before = config._attn_implementation
        config._attn_implementation = _ATTENTION
        try:
            yield
        finally:
            config._attn_implementation = before


def _attend(
    prefix: Sequence[Pair],
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend from one token of each row to the prefix and to the row's own tokens.

    The queries of all rows meet the prefix in one matrix product, where attention over a copy for
    each row would read the prefix once per row.
    """
    if unknown := [name for name in _VARIANTS if options.get(name) is not None]:
        raise UnsupportedAttentionError(f"attention with {', '.join(unknown)}")
    rows, heads, _, width = query.shape
    groups = key.shape[1]
    shared_keys, shared_values = prefix[module.layer_idx]
    dtype, query = query.dtype, query.to(SHARED_DTYPE)
    query = query.reshape(rows, groups, heads // groups, width)
    own = query @ key.transpose(2, 3)
    if attention_mask is not None:
        own = own.masked_fill(~attention_mask, -torch.inf)
    shared = _folded(query) @ shared_keys.transpose(1, 2)
    scores = torch.cat([_unfolded(shared, rows), own], dim=-1)
    weights = torch.softmax(scores * (width**-0.5 if scaling is None else scaling), dim=-1)
    on_shared, on_own = weights.tensor_split([shared.shape[-1]], dim=-1)
    mean = _unfolded(_folded(on_shared) @ shared_values, rows) + on_own @ value
    return mean.to(dtype).reshape(rows, 1, heads, -1), None


def _folded(tensor: torch.Tensor) -> torch.Tensor:
    """Fold the rows into the heads of each group: [rows, groups, heads, n] to [groups, _, n]."""
    return tensor.transpose(0, 1).flatten(1, 2)


def _unfolded(tensor: torch.Tensor, rows: int) -> torch.Tensor:
    groups, folded, width = tensor.shape
    return tensor.view(groups, rows, folded // rows, width).transpose(0, 1)
