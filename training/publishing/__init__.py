"""Out of our hands: plain weights for other programs, the hub, the card and the licence that go with them."""
