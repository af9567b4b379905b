"""What a server may ask of the device, under the firmware's names; and the commands of its user's own."""
