"""Colours of the four phases, distinct in grey and for the colour-blind, and letters."""

from grokking_pl.metrics.phases import Phase

PHASE_COLOURS = {
    Phase.COMPREHENSION: "#0072b2",
    Phase.GROKKING: "#56b4e9",
    Phase.MEMORIZATION: "#f0b429",
    Phase.CONFUSION: "#d9d9d9",
}
PHASE_LETTERS = {Phase.COMPREHENSION: "C", Phase.GROKKING: "G", Phase.MEMORIZATION: "M", Phase.CONFUSION: "X"}
