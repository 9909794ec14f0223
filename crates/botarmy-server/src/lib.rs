//! botarmy-server
