"""What ``import grokking_pl`` gives beside the packages: experiments from Python, their results, measures of arrays."""
