"""Bars and strategies of ``rustybt demo``: real daily bars where the sample package is installed, generated ones else."""

from rustybt.demo.files import Correction, DemoFiles, write_correction, write_files
from rustybt.demo.sample import SampleBars, generated_bars, sample_bars

__all__ = ["Correction", "DemoFiles", "SampleBars", "generated_bars", "sample_bars", "write_correction", "write_files"]
