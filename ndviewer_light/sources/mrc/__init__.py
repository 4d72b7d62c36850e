"""MRC and CCP4 files of electron microscopy."""
