"""Path-traced rooms: scene files, rays of a moving camera, places to stand, ways to move."""
