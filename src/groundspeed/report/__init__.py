"""What a person or a program reads: text and JSON; no decisions here."""
