//! Defaults, layers and values that are good.
