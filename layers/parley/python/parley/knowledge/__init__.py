"""Knowledge: documents become passages, passages are searched, and the search may say that it found nothing."""
