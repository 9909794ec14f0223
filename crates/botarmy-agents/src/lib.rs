//! botarmy-agents
