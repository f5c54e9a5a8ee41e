"""Many estimates and fits as one study."""
