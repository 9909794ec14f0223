//! botarmy-ws
