"""Measurements. Ratios within one run count; absolute times belong to the machine they were taken on."""
