"""The script of `grok completion`, used as bash uses it."""

import shutil
import subprocess

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def script(grok, tmp_path_factory):
    status, text, err = grok("completion", "bash")
    assert status == 0, err
    path = tmp_path_factory.mktemp("completion") / "grok.sh"
    path.write_text(text)
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("grok fi", ["fit"]),
        ("grok fit --trainer.max_st", ["--trainer.max_steps"]),
        ("grok fit --config configs/figures/figure8_l", ["configs/figures/figure8_left.yaml"]),
        ("grok diagram --phase.de", ["--phase.delay"]),
        ("grok sweep --check configs/sweeps/toy_gr", ["configs/sweeps/toy_grid.yaml"]),
        ("grok configs sh", ["show"]),
        ("grok configs show mnist_", ["mnist_grok", "mnist_comprehension"]),
        ("grok completion ba", ["bash"]),
    ],
)
def test_bash_completes(script, typed, wanted):
    words = " ".join(f"'{word}'" for word in typed.split())
    program = (
        f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(typed.split()) - 1}; _shtab_grok; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    ended = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(wanted) <= set(ended.stdout.split())


@pytest.mark.parametrize("arguments", [(), ("elvish",), ("bash", "zsh")])
def test_unknown_shell(grok, arguments):
    status, out, err = grok("completion", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("grok: error: give a shell: grok completion bash or ")
