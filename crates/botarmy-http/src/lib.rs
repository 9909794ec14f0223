//! botarmy-http
