"""An adapter directory: its manifest, model card, Modelfile and verification."""
