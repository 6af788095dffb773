"""From a store to views on the device: order, decoding, prefetching."""
