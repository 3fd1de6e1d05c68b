"""Training a model: one protocol (`base.Learner`), and one file for each learner that implements it."""
