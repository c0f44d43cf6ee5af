"""The program that trains one adapter, in a process of its own."""
