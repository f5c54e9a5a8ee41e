"""Bad models in the shell: one line on stderr that names the place, no traceback, exit status 2, and nothing begun."""

import json
import shutil

import pytest
from nn.test_bad_input import CONFIG, GGUF, TOKENIZER, WEIGHTS, whole  # noqa: F401  (a fixture)
from nn.test_load import model, tokens  # noqa: F401  (what it needs)
from nn.test_safetensors_files import stored

from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT
from lleval_jax.lm import safetensors_files

FILES = {
    "texts.csv": "text,input,answer\nt1,How many?,48\n",
    "elements.toml": '[elements]\nrole = "You count."\nrule = "Be brief."\n',
    "prompts.csv": "prompt,template\nplain,{question}\n",
    "examples.csv": "item,question,answer,option_1,option_2\nq1,Who?,Ann,Ann,Bob\n",
}
SCORE = "pepr score --texts {p}/texts.csv --elements {p}/elements.toml --out {p}/out.csv -q --model"
RUN = "prompts run --prompts {p}/prompts.csv --examples {p}/examples.csv --out {p}/out.csv -q --model"


def config(**keys):
    def change(folder):
        held = json.loads((folder / CONFIG).read_text()) | keys
        (folder / CONFIG).write_text(json.dumps(held))

    return change


def shortened(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-99])


def not_a_number(folder):
    values = {name: tensor.read() for name, tensor in safetensors_files.read(folder).items()}
    values["model.norm.weight"][0] = float("nan")
    safetensors_files.write(folder, stored(values))


def unknown_packing(folder):
    """The type of the first tensor, that follows its name, its axes and its shape, becomes 250."""
    content = bytearray((folder / GGUF).read_bytes())
    at = content.index(b"token_embd.weight") + len(b"token_embd.weight")
    content[at + 4 + 16 : at + 4 + 20] = (250).to_bytes(4, "little")
    (folder / GGUF).write_bytes(content)


BAD = {
    "no config": (lambda d: (d / CONFIG).unlink(), "", "holds no config.json. Name a file: "),
    "no JSON": (lambda d: (d / CONFIG).write_text("{"), "", "config.json is damaged: it is no JSON"),
    "architecture": (config(model_type="rwkv"), "", "architecture (model_type) 'rwkv' is not known; there are llama,"),
    "another tokenizer": (config(vocab_size=300), "", "it is the tokenizer of another model"),
    "odd option": (config(rope_theta="x"), "", "the option 'rope_theta' is 'x'; it must be a number above 0"),
    "cut weights": (shortened(WEIGHTS), "", "model.safetensors: tensor 'model.norm.weight' is cut short"),
    "cut GGUF": (shortened(GGUF), GGUF, "is cut short: it ends at byte"),
    "cut tokenizer": (shortened(TOKENIZER), "", "tokenizer.json is not a tokenizer that can be read"),
    "NaN": (not_a_number, "", "tensor 'model.norm.weight' holds nan at (0,); the file is damaged"),
    "packing": (unknown_packing, GGUF, "tensor 'token_embd.weight' is packed as number 250, which is not known; there"),
    "nothing": (lambda d: None, "none", "there is no folder, file or model"),
    "weights alone": (lambda d: None, WEIGHTS, "is neither a folder nor a GGUF file. Name its folder"),
}


@pytest.mark.parametrize("words", [SCORE, RUN], ids=["score", "run"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_is_one_line(whole, tmp_path, capsys, words, name):  # noqa: F811
    damage, file, message = BAD[name]
    shutil.copytree(whole, tmp_path / "bad")
    damage(tmp_path / "bad")
    for each, text in FILES.items():
        (tmp_path / each).write_text(text)
    assert run([*words.format(p=tmp_path).split(), str(tmp_path / "bad" / file)]) == BAD_INPUT
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert str(tmp_path / "bad") in line
    assert shown.out == ""
    assert not (tmp_path / "out.csv").exists()


LONG = "of its answer; the model's context is 64"


@pytest.mark.parametrize(
    ("words", "name", "text", "message"),
    [
        (SCORE, "texts.csv", f"text,input,answer\nt1,{'clips ' * 200},48\n", LONG),
        (SCORE, "texts.csv", "text,input,answer\nt1,How many?,\n", "answer"),
        (RUN, "examples.csv", FILES["examples.csv"].replace("Who?", "clips " * 200), LONG),
        (RUN, "prompts.csv", "prompt,template\nplain,\n", "template"),
    ],
    ids=["long text", "no answer", "long question", "no template"],
)
def test_a_bad_text_is_one_line(whole, tmp_path, capsys, words, name, text, message):  # noqa: F811
    for each, content in (FILES | {name: text}).items():
        (tmp_path / each).write_text(content)
    assert run([*words.format(p=tmp_path).split(), str(whole)]) == BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
