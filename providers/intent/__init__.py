"""Local intents: sentences that plainly ask the device for something, found without a model."""
