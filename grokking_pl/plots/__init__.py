"""Figures from results: matplotlib figures, made without pyplot and its global state.

Functions named ``draw_...`` draw into given axes; the others return a figure.
"""

from grokking_pl.plots.accuracy_scatter import accuracy_scatter, draw_accuracy_scatter, draw_by_fraction
from grokking_pl.plots.captions import add_caption, letter
from grokking_pl.plots.circle import embedding_circle
from grokking_pl.plots.curves import accuracy_curves, draw_accuracy_curves
from grokking_pl.plots.decision_map import decision_map, draw_decision_map, draw_pair_legend
from grokking_pl.plots.diagram import draw_phase_legend, draw_phases, phase_diagram
from grokking_pl.plots.embeddings import draw_points, embedding_film, embedding_panels
from grokking_pl.plots.lottery_ticket import lottery_ticket
from grokking_pl.plots.principal_axes import principal_axes, principal_components, principal_plane
from grokking_pl.plots.seeds import draw_over_seeds, draw_steps_by, steps_by
from grokking_pl.plots.spectrum import spectrum
from grokking_pl.plots.stitched_accuracy import stitched_accuracy
from grokking_pl.plots.theory import (
    critical_fraction_by_p,
    draw_grokking_rate,
    draw_predicted_steps,
    draw_unique_structure,
    grokking_rate,
    predicted_steps,
    unique_structure,
)
from grokking_pl.plots.trajectories import draw_trajectories, mark_step, trajectories
from grokking_pl.plots.truncated_accuracy import truncated_accuracy

__all__ = [
    "accuracy_curves",
    "accuracy_scatter",
    "add_caption",
    "critical_fraction_by_p",
    "decision_map",
    "draw_accuracy_curves",
    "draw_accuracy_scatter",
    "draw_by_fraction",
    "draw_decision_map",
    "draw_grokking_rate",
    "draw_over_seeds",
    "draw_pair_legend",
    "draw_phase_legend",
    "draw_phases",
    "draw_points",
    "draw_predicted_steps",
    "draw_steps_by",
    "draw_trajectories",
    "draw_unique_structure",
    "embedding_circle",
    "embedding_film",
    "embedding_panels",
    "grokking_rate",
    "letter",
    "lottery_ticket",
    "mark_step",
    "phase_diagram",
    "predicted_steps",
    "principal_axes",
    "principal_components",
    "principal_plane",
    "spectrum",
    "steps_by",
    "stitched_accuracy",
    "trajectories",
    "truncated_accuracy",
    "unique_structure",
]
