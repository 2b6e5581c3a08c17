"""From a feature matrix to a calibrated, exported, judged model. Pure: no files, no clock, no network."""
