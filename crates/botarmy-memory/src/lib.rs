//! botarmy-memory
