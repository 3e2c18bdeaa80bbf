"""Claims about the curse as tests: prediction, measurement, control, verdict."""
