//! botarmy-sqlite
