"""What needs no chat model: intents carried out at the device, timers and alarms that ring, and speaking first."""
