"""Training a model. One Protocol (`base.Learner`), and one file for each learner behind it."""
