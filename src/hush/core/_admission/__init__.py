"""Who may start a call, and when: buckets, waiters and the adaptive controller; synchronous, the clock is passed in."""
