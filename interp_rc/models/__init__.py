"""Who learns: build, load and save models; score and complete prompts."""
