"""Reports in a real browser: they open without errors or requests, and what moves moves to what the folder holds."""

import csv

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from grokking_pl.plots.principal_axes import principal_components
from grokking_pl.report.writing import write_report

WIDE, NARROW = 1280, 390
COORDINATES = ["model.decoder.weight_decay", "model.decoder.lr"]
MIDDLE_OF_CELL = """
const [x, y] = arguments, map = document.getElementById("map"), box = map.getBoundingClientRect();
const {xaxis, yaxis} = map._fullLayout;
return [box.x + xaxis._offset + xaxis.d2p(x), box.y + yaxis._offset + yaxis.d2p(y)];
"""


class Reader:
    """Someone who reads a report."""

    def __init__(self, browser):
        self.browser = browser

    def open(self, path, scheme="light", width=WIDE):
        self.prefer(scheme)
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        self.browser.get_log("browser")
        self.browser.get(path.resolve().as_uri())
        self.wait(lambda: all(self.has_drawn(plot) for plot in self.browser.find_elements(By.CLASS_NAME, "plot")))

    def prefer(self, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def wait(self, condition):
        return WebDriverWait(self.browser, 10, poll_frequency=0.05).until(lambda _: condition())

    def has_drawn(self, plot):
        return bool(plot.find_elements(By.CLASS_NAME, "main-svg"))

    def errors(self):
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] != "INFO"]

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def find(self, name):
        return self.browser.find_element(By.ID, name)

    def point_at(self, x, y):
        # From somewhere else, so that the pointer enters the figure anew.
        pointer = ActionChains(self.browser, duration=50)
        pointer.w3c_actions.pointer_action.move_to_location(2, 2)
        pointer.w3c_actions.pointer_action.move_to_location(int(x), int(y))
        return pointer

    def hovered(self, part):
        layers = self.browser.find_elements(By.CSS_SELECTOR, ".hoverlayer")
        return self.wait(lambda: next((text for layer in layers if part in (text := layer.text)), None))


@pytest.fixture(scope="module")
def reader(chromium):
    return Reader(chromium)


@pytest.fixture(scope="module")
def run_report(run_folder, tmp_path_factory):
    return write_report(run_folder, tmp_path_factory.mktemp("pages") / "run.html")


@pytest.fixture(scope="module")
def circuit_report(circuit_folder, tmp_path_factory):
    return write_report(circuit_folder, tmp_path_factory.mktemp("pages") / "circuit.html")


@pytest.fixture(scope="module")
def diagram_report(diagram_folder, tmp_path_factory):
    return write_report(diagram_folder, tmp_path_factory.mktemp("pages") / "diagram.html")


@pytest.mark.parametrize(("scheme", "width"), [("light", WIDE), ("dark", NARROW)])
@pytest.mark.parametrize("kind", ["run", "diagram", "circuit"])
def test_opens_without_errors_or_requests(kind, scheme, width, reader, request):
    reader.open(request.getfixturevalue(f"{kind}_report"), scheme, width)
    assert reader.errors() == []
    assert reader.run("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []
    assert reader.run("return document.documentElement.scrollWidth") <= width
    paper = reader.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper.strip("rgb()").split(","))) > 380) == (scheme == "light")


def test_colours_follow_the_reader(reader, run_report):
    def ink():
        return reader.run("return document.getElementById('accuracy')._fullLayout.font.color")

    reader.open(run_report)
    light = ink()
    reader.prefer("dark")
    reader.wait(lambda: ink() != light)
    reader.prefer("light")
    reader.wait(lambda: ink() == light)
    assert reader.errors() == []


def test_slider_shows_the_embeddings_of_each_step(reader, run_report, run_folder):
    reader.open(run_report)
    with np.load(run_folder / "embeddings.npz") as file:
        steps, embeddings = file["steps"].tolist(), file["embeddings"]
    places, _ = principal_components(embeddings, fixed_axes=False)
    slider, words = reader.find("step"), reader.find("step-words")
    for key, k in ((Keys.HOME, 0), (Keys.ARROW_RIGHT, 1), (Keys.END, len(steps) - 1)):
        slider.send_keys(key)
        reader.wait(lambda k=k: words.text.startswith(f"step {steps[k]} ·"))
        shown = reader.run("const {x, y} = document.getElementById('embeddings').data[0]; return [x, y]")
        np.testing.assert_allclose(np.transpose(shown), places[k], rtol=1e-3, atol=1e-4)
        bars = reader.run("const {name, y} = document.getElementById('components').data[1]; return [name, ...y]")
        assert bars[0] == f"step {steps[k]}"
        assert sum(bars[1:]) == pytest.approx(1, abs=1e-3)
    assert reader.errors() == []


def test_play_goes_through_the_steps(reader, run_report):
    reader.open(run_report)
    play, slider = reader.find("play"), reader.find("step")
    play.click()  # from the last step on, which is shown first, it begins anew
    reader.wait(lambda: int(slider.get_property("value")) in (1, 2, 3))
    play.click()
    assert play.text == "Play"


def test_hover_tells_the_curves(reader, run_report, run_folder):
    reader.open(run_report)
    figure = reader.find("accuracy")
    box = reader.run("arguments[0].scrollIntoView(); return arguments[0].getBoundingClientRect()", figure)
    reader.point_at(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"]).perform()
    text = reader.hovered("validation accuracy")
    assert "training accuracy" in text
    metrics = pd.read_csv(run_folder / "metrics.csv")
    shown = reader.run("const {x, y} = document.getElementById('accuracy').data[0]; return [x, y]")
    seen = metrics.dropna(subset="train_accuracy")
    np.testing.assert_allclose(shown, [seen["step"], seen["train_accuracy"]])


def test_steps_can_be_linear(reader, run_report):
    reader.open(run_report)
    box = reader.find("log-steps")
    before = box.is_selected()
    box.click()
    kind = reader.run("return document.getElementById('accuracy')._fullLayout.xaxis.type")
    assert kind == ("linear" if before else "log")
    assert reader.errors() == []


def test_circuit_shows_what_was_written(reader, circuit_report, circuit_folder):
    reader.open(circuit_report)
    script = "return document.getElementById(arguments[0]).data.map((trace) => trace.z || trace.y)"
    with np.load(circuit_folder / "circuit.npz") as file:
        arrays = {name: file[name] for name in file.files}
    assert arrays["steps"].tolist() == [0, 10, 20, 30, 40]
    shown = {
        "frequencies": arrays["spectra"].T, "logits": arrays["logits"], "attention-0": arrays["attention"][0],
        "attention-1": arrays["attention"][1],
    }  # fmt: skip
    for name, values in shown.items():
        np.testing.assert_allclose(reader.run(script, name)[0], values, rtol=1e-2, atol=1e-6)
    spectrum = np.array(reader.run(script, "logit-spectrum")[0])
    assert spectrum.shape == (6, 6)
    assert spectrum.sum() == pytest.approx(1, abs=0.02)
    most, explained = reader.run(script, "neurons")
    assert sum(most) == np.count_nonzero(arrays["neuron_frequency"])
    assert sum(explained) == np.count_nonzero(arrays["neuron_share"] >= 0.85)
    losses = reader.run("return document.getElementById('loss').data.map((trace) => trace.name)")
    assert {"restricted loss: key terms only, all pairs", "excluded loss: without key terms, training pairs"} <= {
        *losses
    }
    assert reader.errors() == []


def test_the_other_metrics_can_be_chosen(reader, run_report, run_folder):
    reader.open(run_report)
    choice = Select(reader.find("metric"))
    metrics = pd.read_csv(run_folder / "metrics.csv")
    name = choice.options[-1].text
    choice.select_by_visible_text(name)
    assert reader.run("return document.getElementById('metric-plot').data[0].y") == pytest.approx(
        metrics[name].dropna().tolist()
    )


def runs_of(folder, x, y):
    """The rows of a cell, by the seed, as the table has them."""
    decay, rate = (("0", "3")[y], ("0.0001", "0.001", "0.01")[x])
    with open(folder / "runs.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if [row[name] for name in COORDINATES] == [decay, rate]]
    assert len(rows) == 3
    return {row["seed"]: row for row in rows}


def test_hover_tells_a_cell(reader, diagram_report, diagram_folder):
    reader.open(diagram_report)
    Select(reader.find("view")).select_by_visible_text("seed 59")
    for x, y in ((0, 0), (2, 1)):
        run = runs_of(diagram_folder, x, y)["59"]
        reader.point_at(*reader.run(MIDDLE_OF_CELL, x, y)).perform()
        text = reader.hovered(f"decoder learning rate: {run['model.decoder.lr']}")
        assert f"decoder weight decay: {run['model.decoder.weight_decay']}" in text
        assert f"phase: {run['phase']}" in text
        assert f"steps to training threshold: {run['steps_to_train'] or 'never'}" in text
        assert f"steps to validation threshold: {run['steps_to_val'] or 'never'}" in text
    assert reader.errors() == []


def test_click_shows_the_curves_of_a_cell_by_seed_or_all(reader, diagram_report, diagram_folder):
    reader.open(diagram_report)
    curves = pd.read_csv(diagram_folder / "curves.csv")
    x, y = 1, 1
    reader.point_at(*reader.run(MIDDLE_OF_CELL, x, y)).click().perform()
    reader.wait(lambda: "decoder learning rate: 0.001\n" in reader.find("cell-words").text)
    script = "return document.getElementById('cell-curves').data.filter((t) => t.name === 'validation accuracy')"
    assert len(reader.run(script)) == 3  # the majority of the seeds shows all of them
    Select(reader.find("view")).select_by_visible_text("seed 60")
    (shown,) = reader.run(script)
    kept = curves[
        (curves["model.decoder.lr"] == 0.001) & (curves["model.decoder.weight_decay"] == 3) & (curves["seed"] == 60)
    ].dropna(subset="val_accuracy")
    np.testing.assert_allclose([shown["x"], shown["y"]], [kept["step"], kept["val_accuracy"]], rtol=1e-4)
    rows = reader.find("cell-runs").text.splitlines()
    assert rows[1] == f"phase {runs_of(diagram_folder, x, y)['60']['phase']}"
    assert reader.errors() == []


def test_majority_is_the_most_frequent_phase(reader, diagram_report, diagram_folder):
    reader.open(diagram_report)
    shown = reader.run("return document.getElementById('map').data[0].z")
    phases = ["comprehension", "grokking", "memorization", "confusion"]
    for y in range(2):
        for x in range(3):
            of_seeds = [run["phase"] for run in runs_of(diagram_folder, x, y).values()]
            assert of_seeds.count(phases[shown[y][x]]) == max(map(of_seeds.count, of_seeds))


def test_arrow_keys_move_the_cell_and_steps_can_be_the_colour(reader, diagram_report):
    reader.open(diagram_report)
    map_ = reader.find("map")
    for _ in range(3):
        map_.send_keys(Keys.ARROW_LEFT, Keys.ARROW_DOWN)
    words = reader.find("cell-words")
    assert words.text.startswith("decoder learning rate: 0.0001\ndecoder weight decay: 0\n")
    map_.send_keys(Keys.ARROW_UP)
    assert "decoder weight decay: 3\n" in words.text
    Select(reader.find("measure")).select_by_value("steps_to_train")
    assert reader.run("return document.getElementById('map').data[0].colorbar.title.text").startswith("steps")
    assert reader.errors() == []
