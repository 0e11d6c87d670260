"""The colours of the four phases, apart in grey and for the colour-blind, and letters that tell them without any."""

from grokking_pl.metrics.phases import Phase

PHASE_COLOURS = {
    Phase.COMPREHENSION: "#0072b2",
    Phase.GROKKING: "#56b4e9",
    Phase.MEMORIZATION: "#f0b429",
    Phase.CONFUSION: "#d9d9d9",
}
PHASE_LETTERS = {Phase.COMPREHENSION: "C", Phase.GROKKING: "G", Phase.MEMORIZATION: "M", Phase.CONFUSION: "X"}
