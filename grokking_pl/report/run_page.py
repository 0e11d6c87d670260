"""The report of a run: phase, curves, embeddings over steps, their spectrum, and theory against measurement."""

import html
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from grokking_pl.errors import UserError
from grokking_pl.metrics.phases import Phase
from grokking_pl.plots.axis_labels import in_words
from grokking_pl.plots.curves import VAL_COLOUR
from grokking_pl.plots.phases import PHASE_COLOURS
from grokking_pl.plots.principal_axes import principal_axes
from grokking_pl.plots.theory import THEORY_COLOUR
from grokking_pl.report.circuit_figures import neurons_by_term, over_pairs, terms_over_time
from grokking_pl.report.page import INK, Page, chip, columns, log_axis, number, paragraph, table
from grokking_pl.report.run_figures import (
    ACCURACIES,
    LOSSES,
    curves,
    embedding_map,
    embedding_views,
    spectrum_bars,
    step_axis,
    trajectories,
)
from grokking_pl.report.run_results import Circuit, Embeddings, RunResults, read_run
from grokking_pl.report.theory import compare
from grokking_pl.theory import Trajectories

STEP_SCALE = (
    '<div class="controls"><label><input type="checkbox" id="log-steps" checked> logarithmic steps</label>'
    '<span class="note">(step 0 is not on a logarithmic axis)</span></div>'
)
SLIDER = """<div class="controls">
<button type="button" id="play">Play</button>
<label for="step">step</label>
<input type="range" id="step" min="0" max="{last}" value="{last}" step="1">
<output id="step-words" for="step" aria-live="polite">{words}</output>
<label><input type="checkbox" id="hold-axes"> same axes at all steps</label>
</div>"""


def run_page(folder: Path) -> Page:
    """The report of a run's folder.

    Raises:
        UserError: a file in it is corrupt.
    """
    results = read_run(folder)
    page = Page(folder.resolve().name, f"<p>{html.escape(_what(results))}</p>")
    _add_outcome(page, results)
    _add_curves(page, results)
    _add_embeddings(page, results.snapshots)
    _add_circuit(page, results.circuit)
    _add_theory(page, results)
    if results.config:
        text = html.escape(yaml.safe_dump(results.config, sort_keys=False))
        page.add(
            "Settings", f"<details><summary>config.yaml, which repeats the run</summary><pre>{text}</pre></details>"
        )
    return page


def _what(results: RunResults) -> str:
    """Name the architecture, the data with its options and sizes, the seed, and the run that was forked."""
    summary, config = results.summary, results.config
    model, data = (_options(config.get(name)) for name in ("model", "data"))
    source = data.get("task") or config.get("data")
    named = [_class_name(part) for part in (model.get("architecture"), source)]
    words = f"A run of {' on '.join(filter(None, named)) or 'a network'}"
    options = _options(data.get("task")).items()
    given = [f"{name} = {value}" for name, value in options if type(value) in (int, str)]
    if given:
        words += f" ({', '.join(given)})"
    sizes = _sizes(summary)
    if sizes:
        words += f", {sizes[0]} training and {sizes[1]} validation samples"
    if summary.get("seed") is not None:
        words += f", seed {summary['seed']}"
    parent, _, step = str(summary.get("parent") or "").rpartition("@")
    return f"{words}. Forked from {parent} at step {step}." if parent else f"{words}."


def _class_name(settings: Any) -> str:
    path = settings.get("class_path", "") if isinstance(settings, dict) else settings or ""
    return str(path).rsplit(".", 1)[-1]


def _options(settings: Any) -> dict[str, Any]:
    return (settings.get("init_args") or {}) if isinstance(settings, dict) else {}


def _sizes(summary: dict[str, Any]) -> tuple[int, int] | None:
    """The numbers of training and validation samples, if recorded."""
    try:
        return summary["train_samples"], summary["val_samples"]
    except KeyError:  # another datamodule than this project's, or an older run
        return None


def _add_outcome(page: Page, results: RunResults) -> None:
    summary = results.summary
    parts = []
    if summary.get("status") != "finished":
        state = summary.get("status", "not finished")
        parts.append(paragraph(f"This run is {state}; the report shows the results so far.", "warning"))
    if "phase" in summary:
        phase = Phase(summary["phase"])
        so_far = "" if summary.get("phase_decided", True) else " (so far)"
        parts.append(f'<p class="big">{chip(f"{phase}{so_far}", PHASE_COLOURS[phase])}</p>')
    elif "phase_name" in results.metrics and results.metrics["phase_name"].notna().any():
        phase = Phase(results.metrics["phase_name"].dropna().iloc[-1])
        parts.append(f'<p class="big">{chip(f"{phase} (so far)", PHASE_COLOURS[phase])}</p>')
    else:
        parts.append(paragraph("The phase is unknown; the callback PhaseTracker determines it.", "note"))
    rows = {}
    tracker = results.options_of("PhaseTracker") or {}
    for name, which in (("train", "training"), ("val", "validation")):
        if f"steps_to_{name}" in summary:
            step = summary[f"steps_to_{name}"]
            threshold = tracker.get(f"{name}_threshold", 0.9)
            rows[f"{which} accuracy >= {threshold:g}"] = "not reached" if step is None else f"at step {step}"
        if summary.get(f"{name}_accuracy") is not None:
            rows[f"{which} accuracy at the end"] = number(summary[f"{name}_accuracy"])
    for name in ("rqi", "predicted_accuracy", "effective_dimension"):
        if summary.get(name) is not None:
            rows[f"{in_words(name)} at the end"] = number(summary[name])
    for name in ("steps", "seed", "seconds"):
        if name in summary:
            rows[name] = str(summary[name])
    if not rows and len(results.metrics):
        rows["last step on record"] = f"{results.metrics['step'].max():.0f}"
    page.add("Phase", *parts, table(rows))


def _add_curves(page: Page, results: RunResults) -> None:
    metrics, summary = results.metrics, results.summary
    tracker = results.options_of("PhaseTracker") or {}
    marks = [
        (which, summary[f"steps_to_{name}"], tracker.get(f"{name}_threshold", 0.9), colour)
        for name, which, colour in (("train", "training", INK), ("val", "validation", VAL_COLOUR))
        if summary.get(f"steps_to_{name}") is not None
    ]
    accuracies = curves(metrics, ACCURACIES, marks)
    losses = curves(metrics, LOSSES)
    if accuracies is None and losses is None:
        words = "There are no curves: metrics.csv has no accuracies or losses, which the callback PhaseTracker logs."
        page.add("Curves", paragraph(words, "note"))
        return
    parts = []
    if accuracies is not None:
        accuracies.update_yaxes(range=[-0.02, 1.05], title={"text": "accuracy"})
        parts.append(page.plot("accuracy", accuracies, "Accuracies over training steps"))
    if losses is not None:
        values = [value for trace in losses.data for value in trace.y if value > 0]
        losses.update_yaxes(log_axis("loss", min(values), max(values)) if values else {"title": {"text": "loss"}})
        parts.append(page.plot("loss", losses, "Losses over training steps"))
    others = _other_metrics(metrics)
    if others:
        first = next(iter(others))
        figure = curves(metrics, {first: (first, THEORY_COLOUR, "solid")})
        assert figure is not None
        figure.update_layout(showlegend=False, xaxis=step_axis(metrics["step"]))
        choices = "".join(f"<option>{html.escape(name)}</option>" for name in others)
        page.data["metrics"] = others
        chooser = f'<div class="controls"><label>metric <select id="metric">{choices}</select></label></div>'
        parts.append(f"<div>{chooser}{page.plot('metric-plot', figure, 'The chosen metric over training steps')}</div>")
    page.add("Curves", STEP_SCALE, columns(*parts))


def _other_metrics(metrics: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """Steps and values of each metric not shown in other figures."""
    shown = {*ACCURACIES, *LOSSES, "step", "epoch", "phase"}
    numeric = metrics.select_dtypes("number").columns
    others = {name: metrics.dropna(subset=name) for name in map(str, numeric) if name not in shown}
    return {
        name: {"steps": seen["step"].tolist(), "values": seen[name].tolist()}
        for name, seen in others.items()
        if len(seen) > 1 and np.isfinite(seen[name]).all()
    }


def _add_embeddings(page: Page, snapshots: Embeddings | None) -> None:
    heading = "Embeddings and their spectrum"
    if snapshots is None:
        words = "No embeddings were recorded; the callback EmbeddingSnapshots records them for networks that have them."
        page.add(heading, paragraph(words, "note"))
        return
    views = embedding_views(snapshots)
    page.data["embeddings"] = views
    one = snapshots.values.shape[2] == 1
    caption = (
        "Embedding of each symbol by its number: on a straight line, equal sums have equal embeddings."
        if one
        else "Each symbol at its first two principal components."
    )
    parts = [page.plot("embeddings", embedding_map(snapshots, views), "The embeddings at the chosen step", caption)]
    bars = []
    if not one:
        bars.append(("components", "principal component", "fraction of the variance in each principal component"))
    if views["fourier"]:
        bars.append(("fourier", "frequency", "fraction of the power at each frequency over the symbols"))
    for name, title, words in bars:
        figure = spectrum_bars(views[name], views["steps"], title)
        label = f"{words[0].upper()}{words[1:]}, at the first step and at the chosen one"
        parts.append(page.plot(name, figure, label, f"{label}."))
    spectra = f"<div>{''.join(parts[1:])}</div>"
    slider = SLIDER.format(last=len(snapshots.steps) - 1, words=html.escape(views["words"][-1]))
    page.add(heading, slider, columns(parts[0], spectra))


def _add_circuit(page: Page, circuit: Circuit | None) -> None:
    """Add figures of how a network computes modular addition or a group's operation, if the circuit was measured."""
    if circuit is None:
        return
    parts = []
    term, names = circuit.term, circuit.names
    terms = {"frequency": "frequencies", "representation": "irreducible representations"}[term]
    if circuit.steps is not None and circuit.spectra is not None and len(circuit.steps) > 1:
        words = f"Fraction of the embeddings' power in each {term}, over steps."
        figure = terms_over_time(circuit.steps, circuit.spectra, names[1:], term)
        parts.append(page.plot("frequencies", figure, f"{terms.capitalize()} of the embeddings over steps", words))
    if circuit.neuron_frequency is not None and circuit.neuron_share is not None:
        figure = neurons_by_term(circuit.neuron_frequency, circuit.neuron_share, names[1:], term)
        words = f"Neurons by the {term} that explains most of their variance over all pairs (a, b)."
        parts.append(page.plot("neurons", figure, f"Number of neurons by {term}", words))
    if circuit.logits is not None:
        words = "The output for the correct result, for all pairs (a, b)."
        figure = over_pairs(circuit.logits, "correct output", ("a", "b"))
        parts.append(page.plot("logits", figure, "The correct output over all pairs", words))
    spectrum = circuit.logit_spectrum.copy()
    spectrum[0, 0] = 0
    share = spectrum / spectrum.sum() if spectrum.sum() else spectrum
    what = "addition" if term == "frequency" else "the group's operation"
    words = f"Fraction of the outputs' variance in each {term} of a and of b; {what} is on the diagonal."
    figure = over_pairs(share, "fraction", (f"{term} of a", f"{term} of b"), names)
    parts.append(page.plot("logit-spectrum", figure, "Spectrum of the outputs over both operands", words))
    for head, pattern in enumerate([] if circuit.attention is None else circuit.attention):
        words = f"Head {head}: attention of the last token to a, for all pairs (a, b)."
        figure = over_pairs(pattern, f"head {head}", ("a", "b"))
        parts.append(page.plot(f"attention-{head}", figure, f"Attention of head {head} to a over all pairs", words))
    heading = "The circuit of modular addition" if term == "frequency" else "The circuit of the group's operation"
    page.add(heading, columns(*parts))


def _add_theory(page: Page, results: RunResults) -> None:
    heading = "Theory against measurement"
    try:
        comparison = compare(results)
    except UserError as error:
        words = (
            f"No comparison with the effective theory: {error}. The callback EffectiveTheory compares where it applies."
        )
        page.add(heading, paragraph(words, "note"))
        return
    quality = results.options_of("RepresentationQuality")
    threshold = (quality or {}).get("threshold", 0.95)
    if quality is None:
        measured = "unknown; measured by the callback RepresentationQuality"
    elif comparison.measured_steps is None:
        measured = f"never in {results.summary.get('steps', 'these')} steps"
    else:
        measured = f"step {comparison.measured_steps}"
        if comparison.predicted_steps:
            measured += f", {comparison.measured_steps / comparison.predicted_steps:.3g} of the prediction"
    numbers = table(
        {
            "grokking rate λ₃": number(comparison.lambda_3),
            "nullity n₀ of the training set": str(comparison.n0),
            "unique structure implied": "yes" if comparison.unique else "no",
            "accuracy of an ideal model, all pairs": number(comparison.ideal_accuracy),
            **_accuracy(results),
            "structure predicted after 1/(λ₃η)": number(comparison.predicted_steps)
            + " steps" * bool(comparison.predicted_steps),
            f"structure measured, RQI above {threshold:g}": measured,
        },
        f"The prediction, from the training set alone, is {comparison.source}.",
    )
    panels = _theory_panels(page, comparison.trajectories, comparison.predicted_steps, comparison.measured_steps)
    missing = "The embeddings' trajectories were not recorded; the callback EffectiveTheory records them."
    words = paragraph(f"Effective theory: {comparison.words}.") if comparison.words else ""
    page.add(heading, numbers, words, panels or paragraph(missing, "note"))


def _accuracy(results: RunResults) -> dict[str, str]:
    """The network's accuracy over all pairs, which compares with the ideal one, or else that of the validation set."""
    summary, sizes = results.summary, _sizes(results.summary)
    train, val = summary.get("train_accuracy"), summary.get("val_accuracy")
    corrupted = _options(results.config.get("data")).get("corrupt_fraction")
    if sizes is None or train is None or val is None or corrupted:
        return {"accuracy of the network, validation pairs only": number(val, "unknown")}
    return {"accuracy of the network, all pairs": number((sizes[0] * train + sizes[1] * val) / sum(sizes))}


def _theory_panels(page: Page, both: Trajectories | None, predicted: float | None, measured: int | None) -> str:
    if both is None:
        return ""
    # Both on the first principal axis of the network's last embeddings.
    axis = principal_axes(both.network[-1])[0]
    panels = []
    for name, steps, values, mark, caption in (
        ("theory", both.theory_steps, both.theory @ axis, predicted, "Effective theory; dashed: 1/(λ₃η)."),
        ("network", both.network_steps, both.network @ axis, measured, "Network; dashed: RQI crosses its threshold."),
    ):
        figure = trajectories(steps, values, both.symbols, mark)
        figure.update_yaxes(title={"text": "normalised embedding"})
        label = f"Normalised embeddings over steps, one line per symbol, in the {name}"
        panels.append(page.plot(f"{name}-trajectories", figure, label, caption))
    words = "The panels have separate step axes: a network trained by Adam does not follow the time of a gradient flow."
    return columns(*panels) + paragraph(words, "note")
