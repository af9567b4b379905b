"""What a person sees and hears of the device beside the replies: tones, a light, a face."""
