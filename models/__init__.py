"""From features to a probability, its reasons and a band; the artefact lives here."""
